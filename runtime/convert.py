"""From anything to a Tensor: Python and NumPy data (see `arrays.py`), tensors inside lists, registered types.

Tensors are never cast: that is `pb.cast`'s work. Arrays are, as NumPy's are.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ..ir.dtypes import DType, as_dtype, int32, int64
from ..ir.opdef import get
from ..ir.sizes import is_named
from .arrays import as_array, compatible
from .context import context, slow_mode
from .errors import DtypeMismatch, fail
from .numpy_methods import NumpyMethods
from .tensor import Array, Tensor, as_storage
from .tensor_shape import TensorShape
from .weak import Weak

_registered: list[tuple[Any, Callable[..., Any]]] = []
_priorities: list[int] = []
_OF_ITSELF = (int, float, np.generic, np.ndarray)  # no registered conversion is asked about these, as in TensorFlow


def make(array: Array) -> Tensor:
    """The tensor of an array that is ours: a constant of the trace when one is running."""
    if slow_mode.count and context.trace is not None:
        return context.trace.constant(as_storage(array))
    return Tensor(as_storage(array))


def as_tensor(value: Any, dtype: DType | None = None) -> Tensor:
    """`value` as a Tensor, of `dtype` when one is given.

    Raises:
      DtypeMismatch (a TypeError and ValueError): a tensor of another dtype, or a value of another kind.
      ValueError: nothing that could be a tensor: None, ragged lists, foreign objects.
    """
    if isinstance(value, Tensor):
        if dtype is not None and value.dtype is not dtype:
            if isinstance(value, NumpyMethods) and compatible(dtype, value.dtype):
                return _cast(value, dtype)
            fail(
                DtypeMismatch,
                f"Tensor conversion requested dtype {dtype.name} for a Tensor with dtype "
                f"{value.dtype.name}: write pb.cast(t, pb.{dtype.name})",
            )
        return value
    if _registered and not isinstance(value, _OF_ITSELF):
        found = _from_registered(value, dtype)
        if found is not None:
            return as_tensor(found, dtype)
    if isinstance(value, Weak):
        return value.as_tensor(dtype)
    if is_named(value) and context.trace is not None:
        return _size_tensor(value, dtype or int32)
    convert = getattr(value, "_as_tensor", None)
    if convert is not None and not isinstance(value, type):
        return as_tensor(convert(), dtype)
    return make(as_array(value, dtype)) if not _holds_tensor(value) else _pack(value, dtype)


def _size_tensor(n: Any, dtype: DType) -> Tensor:
    """A size of the trace as a scalar."""
    t = context.trace.apply(get("size_value"), (), {"size": n, "dtype": dtype if dtype.is_integer else int64})  # type: ignore[union-attr]
    return t if t.dtype is dtype else _cast(t, dtype)


def _cast(value: Tensor, dtype: DType) -> Tensor:
    """An array in another dtype, as NumPy data is taken."""
    from .arithmetic import cast

    return cast(value, dtype)


def _from_registered(value: Any, dtype: DType | None) -> Any:
    """What a registered conversion makes of the value; None when there is none for its type."""
    for base, function in _registered:
        if isinstance(value, base):
            found = function(value, dtype, None, False)
            if found is not NotImplemented:
                return found
    return None


# ---------------------------------------------------------------- tensors inside lists
def _holds_tensor(value: Any) -> bool:
    if not isinstance(value, (list, tuple)):
        return False
    return any(isinstance(x, Tensor) or hasattr(type(x), "_as_tensor") or _holds_tensor(x) for x in value)


def _leading(value: Any) -> DType | None:
    for x in value:
        if isinstance(x, (list, tuple)):
            d = _leading(x)
        else:
            d = x.dtype if isinstance(x, Tensor) or hasattr(type(x), "_as_tensor") else None
        if d is not None:
            return d
    return None


def _pack(value: Any, dtype: DType | None) -> Tensor:
    """A list with tensors in it, as a stack that tapes see."""
    from .ops_shape import stack

    want = dtype or _leading(value)
    return stack([as_tensor(x, want) for x in value], axis=0)


# ---------------------------------------------------------------- the public face
def convert_to_tensor(
    value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None, preferred_dtype: Any = None
) -> Tensor:
    """`value` as a Tensor. `dtype` must hold, `dtype_hint` is used when it can be.

    Raises:
      ValueError, TypeError: see the module's text.
    """
    if dtype is not None:
        return as_tensor(value, as_dtype(dtype))
    hint = dtype_hint if dtype_hint is not None else preferred_dtype
    if hint is not None and not isinstance(value, Tensor):
        try:
            return as_tensor(value, as_dtype(hint))
        except (TypeError, ValueError):
            pass
    return as_tensor(value)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const") -> Tensor:
    """A Tensor of the value; `shape` reshapes it, or fills the shape with a single number.

    Eagerly, outside of functions and tapes, `t[i] = v` is refused for it, as TensorFlow does for every Tensor.

    Raises:
      TypeError: the number of elements does not fit `shape`, or the value's kind the dtype.
      ValueError: ragged lists, None and foreign objects.
    """
    want = None if dtype is None else as_dtype(dtype)
    if shape is None:
        return _frozen(as_tensor(value, want), value)
    dims = tuple(TensorShape(shape).as_list())
    if isinstance(value, Tensor) or _holds_tensor(value):
        from .ops_shape import broadcast_to, reshape

        t = as_tensor(value, want)
        return broadcast_to(t, dims) if t.type.size == 1 else reshape(t, dims)
    array = as_array(value, want)
    sizes = [int(d) for d in dims if d is not None]
    size = prod(sizes) if len(sizes) == len(dims) else -1
    if array.size == size:
        return _frozen(make(np.array(array.reshape(sizes))), value)
    if array.size == 1 and size >= 0:
        return _frozen(make(np.full(sizes, array.reshape(())[()], array.dtype)), value)
    return fail(
        TypeError,
        f"Eager execution of pb.constant with unsupported shape: the value has {array.size} elements, "
        f"but `shape` {dims} has {size}",
    )


def _frozen(t: Tensor, value: Any) -> Tensor:
    """The tensor, read-only where it is eager and new: see Tensor.__setitem__."""
    if type(t) is Tensor and t is not value and t._data.flags.owndata:
        t._data.setflags(write=False)
    return t


def is_tensor(x: Any) -> bool:
    """Whether `x` is a Tensor or a Variable."""
    return isinstance(x, Tensor) or hasattr(type(x), "_as_tensor")


def constant_value(t: Any) -> Array | None:
    """What is known of the value without running anything: the array of an eager tensor, None for an unknown one."""
    if isinstance(t, Tensor):
        return t._constant_value()
    return as_array(t)


def static_value(x: Any, what: str) -> Any:
    """The value of an argument that must be known, such as an axis or a shape, as Python ints.

    Raises:
      TypeError: a traced tensor without a known value; the text names the argument and the user's line.
    """
    if type(x) is int or x is None or is_named(x):
        return x
    if isinstance(x, (list, tuple)) and any(is_tensor(v) for v in x):
        return [static_value(v, what) for v in x]
    if hasattr(type(x), "_as_tensor"):
        x = as_tensor(x)
    if isinstance(x, Tensor):
        value = x._constant_value()
        if value is None:
            fail(
                TypeError,
                f"{what} must be known while the function is traced, but it is computed from an argument: "
                "pass it as a Python number",
            )
        return value.tolist()
    if isinstance(x, (np.ndarray, np.generic)):
        return x.tolist()
    return x


def length_value(x: Any, what: str) -> Any:
    """As `static_value`, for lengths: an integer that is computed may be one where its largest value is known.

    The index of a loop with known bounds is such a one: `np.arange(j)`.
    """
    if isinstance(x, (list, tuple)):
        return [length_value(v, what) for v in x]
    if context.trace is not None and is_tensor(x):
        t = as_tensor(x)
        if t._constant_value() is None and not t.ndim and t.dtype.is_integer:
            found = context.trace.length(t)
            if found is not None:
                return found
    return static_value(x, what)


def register_tensor_conversion_function(
    base_type: Any, conversion_func: Callable[..., Any], priority: int = 100
) -> None:
    """Teaches `convert_to_tensor` a foreign type: `conversion_func(value, dtype, name, as_ref)` gives a tensor.

    The function may return NotImplemented; those of lower priority are asked first. It is never asked about
    numbers and arrays.

    Args:
      base_type: a class, or a tuple of them, whose instances are converted.

    Raises:
      TypeError: for Python's numbers, NumPy's scalars and arrays, what is no class, a function that cannot be called.
    """
    bases = base_type if isinstance(base_type, tuple) else (base_type,)
    if not all(isinstance(base, type) for base in bases):
        raise TypeError(f"base_type must be a class or a tuple of classes, not {base_type!r}")
    if any(issubclass(base, _OF_ITSELF) for base in bases):
        raise TypeError(
            "conversions of Python numbers, NumPy scalars and arrays cannot be registered: "
            "wrap them in a class of your own"
        )
    if not callable(conversion_func):
        raise TypeError(f"conversion_func must be callable, not {conversion_func!r}")
    _priorities.append(priority)
    _registered.append((base_type, conversion_func))
    order = sorted(range(len(_priorities)), key=lambda i: _priorities[i])
    _registered[:] = [_registered[i] for i in order]
    _priorities.sort()
