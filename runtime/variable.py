"""`Variable`: a named cell with a fixed dtype and shape, whose content assignments replace.

Reading gives a Tensor of the present value; tapes record the read, so the gradient with respect to the variable is
the sum over its reads. An assignment puts a new array into the cell: tensors that were read before keep the old one.
Inside a trace both go to the trace, for which a variable is one more parameter and result of the function.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..ir.dtypes import DType, as_dtype
from ..ir.opdef import get
from ..ir.types import TensorType
from .context import context, paused, slow_mode, tracing
from .convert import as_tensor
from .dispatch import apply_unrecorded, record
from .errors import ShapeMismatch, fail
from .location import at
from .operators import Operators
from .ref import Reference
from .tensor import Array, Tensor, _note, _note_detour
from .tensor_shape import TensorShape, known_shape

_IDENTITY, _ADD, _SUB = get("identity"), get("add"), get("sub")
_numbers = itertools.count()


class Variable(Operators):
    """A cell that holds a tensor. Tapes watch every trainable variable that is read.

    Args:
      initial_value: a tensor, anything that converts to one, or a function of no arguments that makes one.
      trainable: whether tapes watch it on their own. name: for printing. dtype: of the cell.
      shape: looser than the initial value's shape, to allow assignments of other shapes.

    Raises:
      ValueError: no initial value; or made in a function that already ran (see `pb.function`).
    """

    __slots__ = ("__dict__", "__weakref__", "_data", "_name", "_number", "_static_shape", "_trainable", "constraint")

    _data: Array
    __array_priority__ = 100

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: Any = None,
        constraint: Callable[[Tensor], Tensor] | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
        experimental_enable_variable_lifting: bool = True,
    ) -> None:
        if initial_value is None:
            fail(
                ValueError, "The `initial_value` arg to `pb.Variable` must be specified: a Variable needs a first value"
            )
        self._name = "".join(n + "/" for n in context.names) + (name or "Variable")
        self._trainable = True if trainable is None else bool(trainable)
        self._number = next(_numbers)
        self.constraint = constraint
        t = self._initial(initial_value, None if dtype is None else as_dtype(dtype))
        self._data = t._data
        self._static_shape = None if shape is None else TensorShape(shape)
        if self._static_shape is not None and not self._static_shape.is_compatible_with(t.shape):
            fail(
                ValueError,
                f"In this `pb.Variable` creation, the initial value's shape {t.shape} is not compatible "
                f"with the explicitly supplied `shape` argument {self._static_shape}",
            )

    def _initial(self, value: Any, dtype: DType | None) -> Tensor:
        trace = context.trace if slow_mode.count else None
        if trace is None:
            with paused():
                return as_tensor(value() if callable(value) else value, dtype)
        if callable(value):
            with tracing(None):
                value = as_tensor(value(), dtype)
        elif type(value) is not Tensor:
            with tracing(None):
                if not isinstance(value, Tensor):
                    value = as_tensor(value, dtype)
        return trace.new_variable(self, as_tensor(value, dtype))

    # ------------------------------------------------------------ what it is
    @property
    def name(self) -> str:
        """The name, with `:0` as TensorFlow writes it."""
        return self._name + ":0"

    @property
    def dtype(self) -> DType:
        """The dtype of the cell."""
        return as_dtype(self._data.dtype)

    @property
    def shape(self) -> TensorShape:
        """The shape of the cell."""
        return known_shape(self._data.shape) if self._static_shape is None else self._static_shape

    @property
    def type(self) -> TensorType:
        """The dtype and shape of the present value as the IR writes them."""
        return TensorType(as_dtype(self._data.dtype), self._data.shape)

    def get_shape(self) -> TensorShape:
        """The shape of the cell."""
        return self.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    @property
    def trainable(self) -> bool:
        """Whether tapes watch it on their own."""
        return self._trainable

    @property
    def device(self) -> str:
        """Where the data is."""
        return "/job:localhost/replica:0/task:0/device:CPU:0"

    @property
    def initial_value(self) -> Tensor:
        """Not kept. Raises RuntimeError."""
        raise RuntimeError("This property is not supported when eager execution is enabled.")

    @property
    def _origin(self) -> Variable:
        """The variable itself; what `assign` gives back points here."""
        return self

    # ------------------------------------------------------------ reading
    def _as_tensor(self) -> Tensor:
        """The present value; tapes see the read."""
        if not slow_mode.count:
            return Tensor(self._data)
        v = self._origin
        trace = context.trace
        t = Tensor(v._data) if trace is None else trace.read_variable(v)
        if context.recorders:
            record(_IDENTITY, {}, (v,), (t,))
        return t

    def value(self) -> Tensor:
        """The present value as a Tensor."""
        return self._as_tensor()

    def read_value(self) -> Tensor:
        """The present value as a Tensor."""
        return self._as_tensor()

    def numpy(self) -> Any:
        """The present value, as `Tensor.numpy`."""
        if slow_mode.count:
            if context.trace is not None:
                fail(NotImplementedError, "numpy() is only available when eager execution is enabled")
            _note_detour(self._origin)
        return self._data[()] if self._data.ndim == 0 else self._data.copy()

    def _numpy(self) -> Any:
        return self._data[()] if self._data.ndim == 0 else self._data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        _note(self._origin)  # type: ignore[arg-type]
        return np.array(self._data, dtype=dtype)

    def __bool__(self) -> bool:
        return bool(self._as_tensor())

    def __int__(self) -> int:
        return int(self._as_tensor())

    def __float__(self) -> float:
        return float(self._as_tensor())

    def __complex__(self) -> complex:
        return complex(self._as_tensor())

    def __index__(self) -> int:
        return self._as_tensor().__index__()

    def __len__(self) -> int:
        raise TypeError(f"object of type 'Variable' has no len(): use v.shape[0]{at()}")

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._as_tensor())

    def __getitem__(self, key: Any) -> Any:
        from .variable_slice import read_slice

        return read_slice(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(f"'Variable' object does not support item assignment: write v[i].assign(x){at()}")

    # ------------------------------------------------------------ assigning
    def _store(self, t: Tensor) -> None:
        """Puts the value of a tensor of the right type into the cell, now or in the trace."""
        trace = context.trace if slow_mode.count else None
        if trace is None:
            self._origin._data = t._data
        else:
            trace.assign_variable(self._origin, t)

    def _operand(self, value: Any) -> Tensor:
        with paused():
            return as_tensor(value, self.dtype)

    def assign(self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Any:
        """Replaces the value. Gives the variable back.

        Raises:
          ValueError: another shape or dtype than the variable's.
        """
        t = self._operand(value)
        if not self.shape.is_compatible_with(t.shape):
            fail(
                ValueError,
                f"Cannot assign value to variable '{self.name}': Shape mismatch. The variable shape "
                f"{self.shape}, and the assigned value shape {t.shape} are incompatible.",
            )
        self._store(t)
        return Assigned(self._origin) if read_value else None

    def _update(self, op: Any, what: str, delta: Any, read_value: bool) -> Any:
        t = self._operand(delta)
        mine = self._read_unrecorded()
        if t.type.shape != mine.type.shape and not t.shape.is_compatible_with(mine.shape):
            fail(
                ShapeMismatch,
                f"Cannot {what} variable '{self.name}' of shape {self.shape} with a value of "
                f"shape {t.shape}: the shapes must be equal, nothing is broadcast",
            )
        self._store(apply_unrecorded(op, (mine, t), {}))
        return Assigned(self._origin) if read_value else None

    def _read_unrecorded(self) -> Tensor:
        trace = context.trace if slow_mode.count else None
        return Tensor(self._data) if trace is None else trace.read_variable(self._origin)

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Adds to the value. Raises InvalidArgumentError for another shape, ValueError for another dtype."""
        return self._update(_ADD, "assign_add", delta, read_value)

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Subtracts from the value. Raises InvalidArgumentError for another shape, ValueError for another dtype."""
        return self._update(_SUB, "assign_sub", delta, read_value)

    # ------------------------------------------------------------ writing at indices
    def scatter_add(self, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Any:
        """Adds the rows of IndexedSlices at their indices; repeated ones add up."""
        return self._scatter("add", sparse_delta)

    def scatter_sub(self, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Any:
        """Subtracts the rows of IndexedSlices."""
        return self._scatter("sub", sparse_delta)

    def scatter_update(self, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Any:
        """Replaces rows by those of IndexedSlices."""
        return self._scatter("update", sparse_delta)

    def scatter_max(self, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Any:
        """The larger of the rows and those of IndexedSlices."""
        return self._scatter("max", sparse_delta)

    def scatter_min(self, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Any:
        """The smaller of the rows and those of IndexedSlices."""
        return self._scatter("min", sparse_delta)

    def _scatter(self, kind: str, delta: Any) -> Any:
        from .ops_scatter import tensor_scatter

        with paused():
            places = as_tensor(delta.indices)[..., None]
            new = tensor_scatter(kind, self._read_unrecorded(), places, as_tensor(delta.values, self.dtype))
        self._store(new)
        return Assigned(self._origin)

    def scatter_nd_add(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Adds `updates` at the index vectors `indices`."""
        return self._scatter_nd("add", indices, updates)

    def scatter_nd_sub(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Subtracts `updates` at the index vectors `indices`."""
        return self._scatter_nd("sub", indices, updates)

    def scatter_nd_update(self, indices: Any, updates: Any, name: str | None = None) -> Any:
        """Writes `updates` at the index vectors `indices`."""
        return self._scatter_nd("update", indices, updates)

    def _scatter_nd(self, kind: str, indices: Any, updates: Any) -> Any:
        from .ops_scatter import tensor_scatter

        with paused():
            new = tensor_scatter(kind, self._read_unrecorded(), as_tensor(indices), as_tensor(updates, self.dtype))
        self._store(new)
        return Assigned(self._origin)

    def sparse_read(self, indices: Any, name: str | None = None) -> Tensor:
        """The rows at `indices`."""
        from .ops_index import gather

        return gather(self, indices)

    def gather_nd(self, indices: Any, name: str | None = None) -> Tensor:
        """The elements at index vectors."""
        from .ops_index import gather_nd

        return gather_nd(self, indices)

    def is_initialized(self, name: str | None = None) -> Tensor:
        """True: a Variable has a value from the start."""
        return as_tensor(True)

    # ------------------------------------------------------------ Python
    def __repr__(self) -> str:
        return printing.variable_repr(self)

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __hash__(self) -> int:  # type: ignore[override]
        raise TypeError("Variable is unhashable, because == compares elements. Instead, use variable.ref() as the key.")

    def ref(self) -> Reference:
        """A hashable stand-in for this variable."""
        return Reference(self._origin)

    experimental_ref = ref

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        memo[id(self)] = new = Variable(Tensor(self._data), trainable=self.trainable, shape=self._static_shape)
        new._name = self._name
        return new

    def __reduce__(self) -> Any:
        return _rebuild, (self._data, self._trainable, self._name)


def _rebuild(data: Array, trainable: bool, name: str) -> Variable:
    v = Variable(Tensor(data), trainable=trainable)
    v._name = name
    return v


class Assigned(Variable):
    """What an assignment gives back: the same cell, seen as a variable (TensorFlow's UnreadVariable)."""

    __slots__ = ("_target",)

    def __init__(self, target: Variable) -> None:
        self._target = target

    @property
    def _origin(self) -> Variable:
        return self._target

    def __getattribute__(self, name: str) -> Any:
        if name in _SHARED:
            return getattr(object.__getattribute__(self, "_target"), name)
        return object.__getattribute__(self, name)


_SHARED = frozenset({"_data", "_name", "_number", "_static_shape", "_trainable", "constraint", "ref", "__deepcopy__"})

from . import printing  # noqa: E402  (it needs the class above)
