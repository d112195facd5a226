"""`Tensor`: a handle on an array that ops make and tapes follow.

A Tensor holds a C-contiguous, aligned, native-endian NumPy array. What ops made of it never changes: `t[i] = v` gives
the handle a new array (`handles.py`). It has no other state: tapes know it by its identity. Its operators are in
`operators.py`; here is what makes it a Python object: conversion, printing, iteration, hashing, copying, NumPy's
protocols. Tracing has a subclass without data (`tracer.symbolic.SymbolicTensor`) that overrides `type` and whatever
here needs the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.dtypes import _BY_NP as BY_NUMPY
from ..ir.dtypes import DType, as_dtype
from ..ir.types import TensorType
from .context import context, in_function, slow_mode
from .location import at
from .operators import Operators
from .ref import Reference
from .tensor_shape import TensorShape, known_shape

Array = np.ndarray[Any, Any]

_NUMPY_NAMES = {
    "T": "pb.transpose(t)", "astype": "pb.cast(t, dtype)", "ravel": "pb.reshape(t, [-1])",
    "flatten": "pb.reshape(t, [-1])",
    "transpose": "pb.transpose(t)", "reshape": "pb.reshape(t, shape)", "clip": "pb.clip_by_value(t, low, high)",
    "size": "pb.size(t)", "tolist": "t.numpy().tolist()", "data": "t.numpy().data", "sum": "pb.reduce_sum(t)",
    "mean": "pb.reduce_mean(t)", "max": "pb.reduce_max(t)", "min": "pb.reduce_min(t)", "item": "t.numpy().item()",
    "copy": "pb.identity(t)", "dot": "pb.tensordot(t, u, 1)", "squeeze": "pb.squeeze(t)", "argmax": "pb.argmax(t)",
}  # fmt: skip
_GRAPH_NAMES = ("name", "op", "graph")


class Tensor(Operators):
    """An array of one dtype. Made by `pb.constant`, `pb.convert_to_tensor` and by ops; never changed.

    Operators work elementwise and broadcast; both operands need the same dtype, Python numbers take the tensor's.
    `==` compares elements, so a Tensor is no dict key: use `t.ref()`.
    """

    __slots__ = ("__weakref__", "_data")

    _data: Array
    _array_class: type  # the class of the same kind, eager or symbolic, that behaves as a NumPy array
    _view_class: type  # that of views of such arrays
    _part: Any = None  # of a view: the part of another array that it is
    _eager_storage = True  # whether `_data` is an array of this handle's own
    __array_priority__ = 100

    def __init__(self, data: Array) -> None:
        self._data = data

    # ------------------------------------------------------------ what it is
    @property
    def type(self) -> TensorType:
        """The dtype and shape as the IR writes them."""
        return TensorType(self.dtype, self._data.shape)

    @property
    def dtype(self) -> DType:
        """The dtype of the elements."""
        return BY_NUMPY.get(self._data.dtype) or as_dtype(self._data.dtype)

    @property
    def shape(self) -> TensorShape:
        """The shape, as a TensorShape."""
        return known_shape(self._data.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    @property
    def device(self) -> str:
        """Where the data is, in TensorFlow's words: always the CPU."""
        return "/job:localhost/replica:0/task:0/device:CPU:0"

    backing_device = device

    def get_shape(self) -> TensorShape:
        """The shape."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Checks that the shape is compatible. Raises ValueError."""
        if not self.shape.is_compatible_with(shape):
            raise ValueError(
                f"Tensor's shape {self.shape} is not compatible with supplied shape {TensorShape(shape)}{at()}"
            )

    def _constant_value(self) -> Array | None:
        return self._data

    # ------------------------------------------------------------ as a handle
    def _resolved(self) -> Tensor:
        """The tensor to compute with: itself, or what a view shows."""
        return self

    def _clone(self) -> Tensor:
        """Another handle on the present value."""
        new = object.__new__(type(self))
        new._data = self._data
        return new

    def _become(self, new: Tensor) -> None:
        """Takes the value of a tensor of the same type; tapes are told by `handles.rebind`."""
        self._data = new._data

    def _token(self) -> Any:
        """An object that is another one after each write; who keeps it keeps the data from being written in place."""
        return self._data

    def _usable(self) -> bool:
        """Whether what was read before may be used again: in a trace not behind the branch where it was read."""
        return True

    def _as_array(self, t: Tensor) -> Any:
        """A fresh tensor of the same kind as an array."""
        t.__class__ = t._array_class
        return t

    def __setitem__(self, key: Any, value: Any) -> None:
        """Gives the handle a new value. A constant stays as it is outside of functions and tapes, as in TensorFlow."""
        if type(self) is Tensor and _frozen(self._data) and not context.recorders and not in_function():
            raise TypeError(
                "'Tensor' object does not support item assignment: this one was made by pb.constant, and a constant "
                "does not change outside of a pb.function. Write to what was computed from it (y = x + 0; "
                "y[i] = ...), to a pb.Variable (v[i].assign(...)), or make a new one with "
                f"pb.tensor_scatter_nd_update or pb.where{at()}"
            )
        handles.set_item(self, key, value)

    def __delitem__(self, key: Any) -> None:
        handles.refuse_delete(self)

    # ------------------------------------------------------------ out to Python and NumPy
    def numpy(self) -> Any:
        """The value: a NumPy scalar for shape (), else a new array; `bytes` for a string."""
        if slow_mode.count:
            _note_detour(self)
        data = self._data
        return data[()] if data.ndim == 0 else data.copy()

    def _numpy(self) -> Any:
        return self._data[()] if self._data.ndim == 0 else self._data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if slow_mode.count:
            _note_detour(self)
        data = self._data
        if copy or (dtype is not None and np.dtype(dtype) != data.dtype):
            if copy is False:
                raise ValueError("a conversion to another dtype needs a copy")
            return np.array(data, dtype=dtype)
        view = data.view()
        view.flags.writeable = False
        return view

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(self.numpy())

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(
                f"The truth value of a tensor with {self._data.size} elements (shape {self.shape}) is ambiguous: use "
                f"pb.reduce_any(t) or pb.reduce_all(t){at()}"
            )
        _note(self)
        return bool(self._data.reshape(())[()])

    def _scalar(self, what: str) -> Any:
        if self._data.ndim:
            raise TypeError(
                f"Only a tensor of shape () can be converted to {what}, not one of shape {self.shape}: "
                f"take an element, such as t[0]{at()}"
            )
        _note(self)
        return self._data[()]

    def __int__(self) -> int:
        return int(self._scalar("int"))

    def __float__(self) -> float:
        return float(self._scalar("float"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex"))

    def __index__(self) -> int:
        if self._data.dtype.kind not in "iu":
            raise TypeError(
                f"Only an integer tensor can be an index, not one of dtype {self.dtype.name}: "
                f"write pb.cast(t, pb.int32){at()}"
            )
        return int(self._scalar("an index"))

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError(f"Scalar tensor has no `len()`: its shape is (){at()}")
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._data.ndim:
            raise TypeError(f"Cannot iterate over a scalar tensor: its shape is (){at()}")
        return (self[i] for i in range(len(self._data)))

    # ------------------------------------------------------------ text
    def __repr__(self) -> str:
        return printing.tensor_repr(self)

    def __str__(self) -> str:
        return printing.tensor_str(self)

    def __format__(self, spec: str) -> str:
        return format(self._numpy(), spec)

    # ------------------------------------------------------------ identity
    def __hash__(self) -> int:  # type: ignore[override]
        raise TypeError("Tensor is unhashable, because == compares elements. Instead, use tensor.ref() as the key.")

    def ref(self) -> Reference:
        """A hashable stand-in for this tensor, for dicts and sets; `ref.deref()` gives the tensor."""
        return Reference(self)

    experimental_ref = ref

    def __copy__(self) -> Tensor:
        return Tensor(self._data)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        memo[id(self)] = new = Tensor(self._data)
        return new

    def __reduce__(self) -> Any:
        return _rebuild, (self._data,)

    def cpu(self) -> Tensor:
        """This tensor: it is on the CPU."""
        return self

    # ------------------------------------------------------------ what it is not
    def _absent(self, name: str) -> Any:
        """An attribute of NumPy's arrays or TensorFlow's graph tensors: inside of functions NumPy's method."""
        if name in _GRAPH_NAMES:
            raise AttributeError(f"Tensor.{name} is undefined when eager execution is enabled.")
        if in_function():
            from .tensor_methods import method_of

            with suppress(AttributeError):
                return method_of(self, name)
        instead = _NUMPY_NAMES.get(name)
        hint = f"; for t.{name} write {instead}" if instead else ""
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{hint}")

    def __dir__(self) -> list[str]:
        return [n for n in object.__dir__(self) if hasattr(type(self), n)]

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class _Absent:
    """Stands for an attribute that tensors do not have. With `__getattr__` in its place every access to any attribute
    would take ten times as long."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, t: Tensor | None, owner: type) -> Any:
        if t is None:
            raise AttributeError(f"type object '{owner.__name__}' has no attribute '{self.name}'")
        return t._absent(self.name)


for _name in {*_GRAPH_NAMES, *(n for n in dir(np.ndarray) if not n.startswith("_"))}.difference(dir(Tensor)):
    setattr(Tensor, _name, _Absent(_name))


def _rebuild(data: Array) -> Tensor:
    return Tensor(data)


def _frozen(data: Array) -> bool:
    """Whether `pb.constant` made the data; what an op gives may be a view of such data, and is written to a copy."""
    flags = data.flags
    return not flags.writeable and flags.owndata


def _note(t: Tensor) -> None:
    if slow_mode.count:
        _note_detour(t, quietly=True)


def _note_detour(t: Any, quietly: bool = False) -> None:
    """Tells the tapes that a value left for Python or NumPy, so that they can explain a missing gradient."""
    for r in context.recorders:
        note = getattr(r, "note_detour", None)
        if note is not None:
            note(t, "a Python number" if quietly else "a NumPy array")


def as_storage(a: Any) -> Array:
    """`a` as the array of a Tensor: C-contiguous, aligned, native byte order. Copies only when it must."""
    if type(a) is np.ndarray and a.flags.c_contiguous and a.flags.aligned and a.dtype.isnative:
        return a
    a = np.asarray(a)
    return np.require(a, a.dtype.newbyteorder("="), ["C", "A"]) if a.ndim else np.array(a, a.dtype.newbyteorder("="))


def wrap(a: Any) -> Tensor:
    """The Tensor of an array that nobody will write to."""
    return Tensor(as_storage(a))


from . import arithmetic, handles, indexing, numpy_protocol, operators, printing  # noqa: E402  (they need the class above)

operators.bind(arithmetic=arithmetic, indexing=indexing, numpy_protocol=numpy_protocol)
operators.bind(**{k: v for k, v in vars(arithmetic).items() if k.startswith("run_")})
