"""The tensor that exists while a function is traced: a type, an IR value and, where known, a static value.

It is a `Tensor` without data. Everything that needs the data raises an error that names the user's line and says
what to write instead.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..ir.dims import Dim
from ..ir.dtypes import DType
from ..ir.errors import TypeMismatch
from ..ir.graph import Block, Loc, Value
from ..ir.types import TensorType
from ..runtime.array_handles import ArrayHandles
from ..runtime.errors import InaccessibleTensorError, OperatorNotAllowedInGraphError
from ..runtime.location import at, user_location
from ..runtime.numpy_methods import NumpyMethods
from ..runtime.tensor import Tensor
from ..runtime.tensor_shape import TensorShape, known_shape
from ..runtime.views import Part
from .unsuitable import left_alone

if TYPE_CHECKING:
    from .trace import Trace


class LeakedTensor(InaccessibleTensorError, TypeMismatch):
    """A tensor of a finished or another trace was used: TensorFlow raises ValueError or TypeError, by the place."""


class SymbolicTensor(Tensor):
    """A tensor of a trace.

    Attributes:
      value: the IR value. trace: the trace that it belongs to.
      static: its value as an array where that is known while tracing (entries may be symbolic sizes), else None.
      loc: the user's line that made it. home: the block that was being filled when the handle was made.
    """

    __slots__ = ("home", "loc", "static", "trace", "value")
    _eager_storage = False

    value: Value
    home: Block
    trace: Trace
    static: Any
    loc: Loc | None

    def __init__(self, value: Value, trace: Trace, static: Any = None, loc: Loc | None = None) -> None:
        self.value = value
        self.trace = trace
        self.static = static
        self.loc = loc
        self.home = trace.builder.block

    @property
    def type(self) -> TensorType:
        """The IR type."""
        return self.value.type

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.value.type.dtype

    @property
    def shape(self) -> TensorShape:
        """The static shape; sizes that are not known yet are None."""
        return known_shape(self.value.type.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.value.type.shape)

    def get_shape(self) -> TensorShape:
        """The static shape, as the attribute `shape`."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Fixes sizes that are not known yet: the trace then serves calls with these sizes only. Raises ValueError."""
        super().set_shape(shape)
        self.trace.fix_sizes(self.value, TensorShape(shape))

    @property
    def name(self) -> str:
        """The name of the value in the IR, or a generic one."""
        return f"{self.value.name or 'tensor'}:0"

    def _constant_value(self) -> Any:
        return self.static

    # ------------------------------------------------------------ as a handle
    def _rebinding(self, other: Any, operator: Any) -> Any:
        """`t += x` gives the variable a new Tensor; on an array it would write."""
        if type(self) is SymbolicTensor:
            self.trace.note_numpy()
        return operator(self, other)

    def __iadd__(self, other: Any) -> Any:
        return self._rebinding(other, operator.add)

    def __isub__(self, other: Any) -> Any:
        return self._rebinding(other, operator.sub)

    def __imul__(self, other: Any) -> Any:
        return self._rebinding(other, operator.mul)

    def __itruediv__(self, other: Any) -> Any:
        return self._rebinding(other, operator.truediv)

    def __ifloordiv__(self, other: Any) -> Any:
        return self._rebinding(other, operator.floordiv)

    def __imod__(self, other: Any) -> Any:
        return self._rebinding(other, operator.mod)

    def __ipow__(self, other: Any) -> Any:
        return self._rebinding(other, operator.pow)

    def __imatmul__(self, other: Any) -> Any:
        return self._rebinding(other, operator.matmul)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        self.trace.note_numpy()
        return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        self.trace.note_numpy()
        return super().__array_function__(func, types, args, kwargs)

    def _clone(self) -> SymbolicTensor:
        new = type(self)(self.value, self.trace, self.static, self.loc)
        new.home = self.home
        return new

    def _become(self, new: Any) -> None:
        self.trace.touch(self)
        same = new if isinstance(new, SymbolicTensor) and new.trace is self.trace else None
        self.value = self.trace.value_of(new)
        self.static = None if same is None else same.static
        self.loc = user_location()

    def _token(self) -> Any:
        return self.value

    def _usable(self) -> bool:
        return self.trace.reaches(self.value)

    @property
    def _data(self) -> Any:  # type: ignore[override]  # hides the slot of Tensor: there is no data
        self._no_value("its value was asked for")

    def _no_value(self, what: str) -> NoReturn:
        if not self.trace.open:
            raise self.leaked()
        raise TypeError(f"{what}, but {self._describe()} has no value while the function is traced{_REMEDY}{at()}")

    def leaked(self) -> LeakedTensor:
        """The error for a use outside of the trace that made this tensor."""
        made = f" at {self.loc}" if self.loc else ""
        return LeakedTensor(
            f"{self._describe()} was made{made} while the function '{self.trace.name}' was traced, and "
            "is used outside of that trace, where it has no value; return it from the function instead of storing it "
            f"in a list, an attribute or a global{at()}"
        )

    def left_behind(self) -> LeakedTensor:
        """The error for a use behind the branch or loop body that made this tensor."""
        made = f" at {self.loc}" if self.loc else ""
        return LeakedTensor(
            f"{self._describe()} was made{made} in a branch or loop body that a tensor controls, and is used outside "
            "of it, where it may have no value: assign it to a variable of the function, or collect it with pb.map_fn "
            f"or pb.scan, in place of storing it in an object{at()}"
        )

    def _describe(self) -> str:
        name = f" '{self.value.name}'" if self.value.name else ""
        return f"the symbolic tensor{name} {self.value.type}"

    def _forbidden(self, use: str, instead: str) -> NoReturn:
        if not self.trace.open:
            raise self.leaked()
        raise OperatorNotAllowedInGraphError(
            f"{self._describe()} was used as {use} inside the compiled function '{self.trace.name}'. "
            f"Its value is not known while the function is traced, and this is {left_alone(instead)}, or switch on "
            f"pb.config.run_functions_eagerly(True) to run the Python as written{at()}"
        )

    @property
    def numpy(self) -> NoReturn:
        """Not available: the value is not known yet. Raises AttributeError, as TensorFlow does."""
        raise AttributeError("numpy")  # goes on to __getattr__, where the text is

    def __getattr__(self, name: str) -> Any:
        if name == "numpy":
            raise AttributeError(
                f"{self._describe()} has no numpy(): its value is not known while the function is traced{_REMEDY}{at()}"
            )
        if hasattr(np.ndarray, name):
            self.trace.note_numpy()
        return super()._absent(name)

    def _absent(self, name: str) -> Any:
        if name not in ("name", "op", "graph"):
            self.trace.note_numpy()
        return super()._absent(name)

    def _known(self) -> Any:
        """The value as a Python number where it is known while tracing (a constant, a fixed size), else None."""
        static = self.trace.static_of(self) if self.trace.open else None
        if static is None or static.ndim or static.dtype == object:
            return None
        return static[()].item()

    def __bool__(self) -> bool:
        known = self._known()
        if known is None:
            self._forbidden("a Python bool", "use pb.where(condition, a, b) in place of `if`/`and`/`or`/`while`")
        return bool(known)

    def __iter__(self) -> Any:
        self._forbidden("an iterable", "use pb.unstack(t), or `for i in range(n)` with a Python int and t[i]")

    def __index__(self) -> int:
        known = self._known()
        if not isinstance(known, int):
            self._forbidden("a Python integer (such as the bound of `range`)", "pass a Python int, or t.shape[i]")
        return known

    def __len__(self) -> NoReturn:
        raise TypeError(f"len() is not defined for {self._describe()}; use t.shape[0] or pb.shape(t)[0]{at()}")

    def __float__(self) -> float:
        known = self._known()
        return float(known) if known is not None else self._no_value("float() was asked for")

    def __int__(self) -> int:
        known = self._known()
        return int(known) if known is not None else self._no_value("int() was asked for")

    def __complex__(self) -> complex:
        known = self._known()
        return complex(known) if known is not None else self._no_value("complex() was asked for")

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        raise NotImplementedError(
            f"cannot convert {self._describe()} to a NumPy array: its value is not known while the "
            f"function is traced; use pb functions in place of NumPy's{_REMEDY}{at()}"
        )

    def __repr__(self) -> str:
        shape = ", ".join("None" if isinstance(d, Dim) else str(d) for d in self.value.type.shape)
        comma = "," if len(self.value.type.shape) == 1 else ""
        return f"<tf.Tensor '{self.name}' shape=({shape}{comma}) dtype={self.dtype.name}>"

    def __str__(self) -> str:
        shape = ", ".join("None" if isinstance(d, Dim) else str(d) for d in self.value.type.shape)
        comma = "," if len(self.value.type.shape) == 1 else ""
        return f'Tensor("{self.name}", shape=({shape}{comma}), dtype={self.dtype.name})'

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __reduce__(self) -> Any:
        raise TypeError(f"{self._describe()} cannot be pickled: it has no value while the function is traced")


_REMEDY = "; return it from the function, or switch on pb.config.run_functions_eagerly(True) to debug"


class SymbolicArray(ArrayHandles, NumpyMethods, SymbolicTensor):
    """A tensor of a trace that behaves as a NumPy array; see `runtime.array`."""

    __slots__ = ()

    def _note_numpy(self) -> None:
        self.trace.note_numpy()


class SymbolicCell(SymbolicArray):
    """Of a trace, what stands for an ndarray of no dimensions."""

    __slots__ = ()
    _cell = True


class SymbolicView(SymbolicArray):
    """A view of an array of a trace: its value is read where it is used."""

    __slots__ = ("_part",)
    _cell = True
    _part: Part

    def __init__(self, part: Part) -> None:
        self._part = part
        self.trace = part.base.trace
        self.static = self.loc = None
        self.home = self.trace.builder.block

    @property
    def value(self) -> Value:  # type: ignore[override]  # hides the slot: there is none of its own
        """The IR value that the part has here."""
        return self._part.value().value  # type: ignore[no-any-return]

    @property
    def type(self) -> TensorType:
        """The IR type."""
        return self._part.type

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self._part.type.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._part.type.shape)

    def _constant_value(self) -> Any:
        return self._part.value().static

    def _resolved(self) -> Tensor:
        return self._part.value()  # type: ignore[no-any-return]

    def _clone(self) -> Any:
        return SymbolicView(self._part)

    def _become(self, new: Any) -> None:
        self._part.set_item(Ellipsis, new)


SymbolicTensor._array_class = SymbolicArray
SymbolicTensor._view_class = SymbolicView
