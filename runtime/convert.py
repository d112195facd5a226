"""From anything to a Tensor: TensorFlow's rules for Python numbers, lists, NumPy arrays and tensors inside lists.

Python ints become int32 (int64 when they need it), floats float32, complex numbers complex128; NumPy data keeps its
dtype. Where a dtype is asked for, a conversion that loses the kind (float to int, text to number) is refused;
integers wrap into the small integer types as in TensorFlow. Tensors are never cast: that is `pb.cast`'s work.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NoReturn

import numpy as np

from ..ir import dtypes
from ..ir.dtypes import DType, as_dtype
from ..ir.quiet import Quiet
from .context import context, slow_mode
from .errors import BadInteger, DtypeMismatch, fail
from .location import at
from .tensor import Array, Tensor, as_storage
from .tensor_shape import TensorShape

_registered: list[tuple[Any, Callable[..., Any]]] = []
_WRAPPING = ("int8", "int16", "uint8", "uint16", "uint32")


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
            fail(
                DtypeMismatch,
                f"Tensor conversion requested dtype {dtype.name} for a Tensor with dtype "
                f"{value.dtype.name}: write pb.cast(t, pb.{dtype.name})",
            )
        return value
    convert = getattr(value, "_as_tensor", None)
    if convert is not None and not isinstance(value, type):
        return as_tensor(convert(), dtype)
    return make(as_array(value, dtype)) if not _holds_tensor(value) else _pack(value, dtype)


def as_array(value: Any, dtype: DType | None = None) -> Array:
    """`value`, which holds no tensor, as an array of our own. Errors as `as_tensor`."""
    kind = type(value)
    if kind is float or kind is int or kind is bool or kind is complex:
        return _from_number(value, dtype)
    if isinstance(value, (np.ndarray, np.generic)):
        return _from_numpy(np.asarray(value), dtype, value)
    if isinstance(value, (list, tuple, range)):
        return _from_sequence(value, dtype)
    if isinstance(value, (str, bytes)):
        return _from_strings(value, dtype)
    if isinstance(value, (int, float, complex)):
        return _from_number(value, dtype)
    if isinstance(value, TensorShape):
        return _from_sequence(value.as_list(), dtype or dtypes.int32)
    if isinstance(value, DType):
        return np.array(value.as_datatype_enum, (dtype or dtypes.int32).np)
    for protocol in ("__array__", "__array_interface__", "__index__"):
        if hasattr(value, protocol) and not isinstance(value, type):
            array = np.asarray(value if protocol != "__index__" else value.__index__())
            return _from_numpy(array, dtype, value)
    return _unsupported(value)


def _unsupported(value: Any) -> NoReturn:
    fail(
        ValueError,
        f"Attempt to convert a value ({value!r}) with an unsupported type ({type(value)}) to a Tensor: "
        "give numbers, lists of numbers, NumPy arrays or tensors",
    )


def _mismatch(value: Any, found: str, dtype: DType) -> NoReturn:
    text = repr(value)
    text = text if len(text) < 60 else text[:57] + "..."
    fail(
        DtypeMismatch,
        f"Cannot convert {text} ({found}) to a Tensor of dtype {dtype.name}: convert it first, "
        f"as in pb.cast({text}, pb.{dtype.name})",
    )


def compatible(want: DType, found: DType) -> bool:
    """Whether TensorFlow converts data of one dtype into another when a constant is made."""
    if want is found or (want.is_integer and found.is_integer):
        return True
    if want.is_floating:
        return found.is_floating or found.is_integer
    return want.is_complex and (found.is_complex or found.is_floating or found.is_integer)


def _from_number(value: Any, dtype: DType | None) -> Array:
    if isinstance(value, bool):
        if dtype is None or dtype.is_bool or dtype.is_numeric:
            return np.array(value, np.bool_ if dtype is None else dtype.np)
        _mismatch(value, "a bool", dtype)
    if isinstance(value, int):
        return _from_ints(value, dtype)
    if isinstance(value, float):
        if dtype is not None and not (dtype.is_floating or dtype.is_complex):
            _mismatch(value, "a float", dtype)
        with Quiet():
            return np.array(value, np.float32 if dtype is None else dtype.np)
    if dtype is not None and not dtype.is_complex:
        _mismatch(value, "a complex number", dtype)
    return np.array(value, np.complex128 if dtype is None else dtype.np)


def _from_ints(value: Any, dtype: DType | None) -> Array:
    """Integers (a number or an int64, uint64 or object array of them)."""
    if dtype is not None and not dtype.is_numeric:
        _mismatch(value, "an integer", dtype)
    try:
        wide: Array = np.array(value, np.uint64 if dtype is dtypes.uint64 else np.int64)
    except OverflowError:
        if dtype is not None and (dtype.is_floating or dtype.is_complex):
            return np.array(value, np.float64).astype(dtype.np)
        fail(
            BadInteger,
            f"Can't convert Python sequence with out-of-range integer to Tensor: {value!r} does not fit "
            f"into {dtype.name if dtype else 'int64'}",
        )
    if dtype is None:
        return wide.astype(np.int32) if _fits(wide, np.int32) else wide
    if dtype is dtypes.int32 and not _fits(wide, np.int32):
        fail(
            BadInteger,
            f"Can't convert Python sequence with out-of-range integer to Tensor: {value!r} does not fit "
            "into int32; ask for dtype=pb.int64",
        )
    with Quiet():
        return wide.astype(dtype.np)


def _fits(a: Array, kind: Any) -> bool:
    info = np.iinfo(kind)
    return not a.size or bool(info.min <= a.min() and a.max() <= info.max)


def _from_numpy(array: Array, dtype: DType | None, value: Any) -> Array:
    if array.dtype == object:
        return _from_sequence(array.tolist(), dtype) if array.ndim else as_array(array[()], dtype)
    if array.dtype.kind in "SU":
        return _from_strings(array, dtype)
    try:
        found = as_dtype(array.dtype)
    except TypeError:
        _unsupported(value)
    if dtype is None or dtype is found:
        return np.array(array, found.np, order="C")
    if not compatible(dtype, found):
        _mismatch(value, f"NumPy data of dtype {found.name}", dtype)
    with Quiet():
        return np.array(array, dtype.np, order="C")


def _from_strings(value: Any, dtype: DType | None) -> Array:
    if dtype is not None and dtype is not dtypes.string:
        _mismatch(value, "text", dtype)
    flat = np.array(value, dtype=object)
    out = np.empty(flat.shape, object)
    for i, s in np.ndenumerate(flat):
        out[i] = s.encode() if isinstance(s, str) else bytes(s)
    return out


def leaf_types(value: Any) -> set[type]:
    """The types of what nested lists hold."""
    found = set(map(type, value))
    for kind in [k for k in found if issubclass(k, (list, tuple, range))]:
        found.remove(kind)
        for item in value:
            if type(item) is kind:
                found |= leaf_types(item)
    return found


def _from_sequence(value: Any, dtype: DType | None) -> Array:
    found = leaf_types(value)
    if any(issubclass(k, (np.ndarray, np.generic)) or hasattr(k, "__array__") for k in found):
        return _from_numpy_list(value, found, dtype)
    if found & {str, bytes}:
        if not found <= {str, bytes}:
            fail(ValueError, f"Can't convert Python sequence with mixed types to Tensor: {_names(found)}")
        return _from_strings(_rectangular(value, object), dtype)
    if not found:
        return _rectangular(value, (dtype or dtypes.float32).np)
    for k in found:
        if not issubclass(k, (int, float, complex)):
            return _foreign(value, k, found, dtype)
    if bool in found and len(found) > 1:
        fail(ValueError, f"Can't convert Python sequence with mixed types to Tensor: {_names(found)}; cast the bools")
    return _from_numbers(value, found, dtype)


def _foreign(value: Any, kind: type, found: set[type], dtype: DType | None) -> Array:
    if hasattr(kind, "__index__"):
        return _from_numpy(_rectangular(value, np.int64), dtype or dtypes.int32, value)
    example = next(x for x in _leaves(value) if type(x) is kind)
    return _unsupported(example)


def _leaves(value: Any) -> Any:
    for item in value:
        if isinstance(item, (list, tuple, range)):
            yield from _leaves(item)
        else:
            yield item


def _from_numbers(value: Any, found: set[type], dtype: DType | None) -> Array:
    if any(issubclass(k, complex) for k in found):
        if dtype is not None and not dtype.is_complex:
            _mismatch(value, "complex numbers", dtype)
        return _rectangular(value, np.complex128 if dtype is None else dtype.np)
    if any(issubclass(k, float) for k in found):
        if dtype is not None and not (dtype.is_floating or dtype.is_complex):
            _mismatch(value, "floats", dtype)
        with Quiet():
            return _rectangular(value, np.float32 if dtype is None else dtype.np)
    if found == {bool}:
        if dtype is not None and not (dtype.is_bool or dtype.is_numeric):
            _mismatch(value, "bools", dtype)
        return _rectangular(value, np.bool_ if dtype is None else dtype.np)
    return _from_ints(_rectangular(value, object), dtype)


def _rectangular(value: Any, kind: Any) -> Array:
    try:
        array: Array = np.array(value, dtype=kind)
    except (ValueError, TypeError) as e:
        raise ValueError(
            f"Can't convert non-rectangular Python sequence to Tensor: the inner lists differ in length{at()}"
        ) from e
    if array.dtype == object and any(isinstance(x, (list, tuple, range)) for x in array.flat):
        fail(ValueError, "Can't convert non-rectangular Python sequence to Tensor: the inner lists differ in length")
    return array


def _from_numpy_list(value: Any, found: set[type], dtype: DType | None) -> Array:
    kinds = [
        np.asarray(x).dtype
        for x in _leaves(value)
        if isinstance(x, (np.ndarray, np.generic)) or hasattr(x, "__array__")
    ]
    try:
        array = np.array(value, dtype=np.result_type(*kinds) if len(set(kinds)) > 1 else kinds[0])
    except (ValueError, TypeError) as e:
        raise ValueError(f"Can't convert this Python sequence of arrays to a Tensor: {e}{at()}") from e
    return _from_numpy(array, dtype, value)


def _names(found: set[type]) -> str:
    return " and ".join(sorted(k.__name__ for k in found))


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

    Raises:
      TypeError: the number of elements does not fit `shape`, or the value's kind the dtype.
      ValueError: ragged lists, None and foreign objects.
    """
    want = None if dtype is None else as_dtype(dtype)
    if shape is None:
        return as_tensor(value, want)
    dims = tuple(TensorShape(shape).as_list())
    if isinstance(value, Tensor) or _holds_tensor(value):
        from .ops_shape import broadcast_to, reshape

        t = as_tensor(value, want)
        return broadcast_to(t, dims) if t.shape.num_elements() == 1 else reshape(t, dims)
    array = as_array(value, want)
    sizes = [int(d) for d in dims if d is not None]
    size = prod(sizes) if len(sizes) == len(dims) else -1
    if array.size == size:
        return make(array.reshape(sizes))
    if array.size == 1 and size >= 0:
        return make(np.full(sizes, array.reshape(())[()], array.dtype))
    return fail(
        TypeError,
        f"Eager execution of pb.constant with unsupported shape: the value has {array.size} elements, "
        f"but `shape` {dims} has {size}",
    )


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
    if type(x) is int or x is None:
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


def register_tensor_conversion_function(
    base_type: Any, conversion_func: Callable[..., Any], priority: int = 100
) -> None:
    """Teaches `convert_to_tensor` a foreign type: `conversion_func(value, dtype, name, as_ref)` gives a tensor."""
    _registered.append((base_type, conversion_func))
