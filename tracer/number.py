"""`Number`: a Python int, float or bool whose value is not known while tracing: the index of a loop and what it makes.

Its arithmetic is Python's: ints with ints give ints, `/` gives floats, floats are doubles. It meets a tensor as a
Python number does, in the tensor's dtype. For ints a range is kept, which shows that nothing overflows, settles
comparisons (`i < n`) and bounds of slices; sums and multiples are kept as such, so that counters and windows
`x[i : i + 3]` are recognised. Where Python needs the value itself (a list index, a shape, a dict key, text) the loop
that the number belongs to is unrolled.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..ir.dtypes import DType, bool_, float32, float64, int32, int64
from ..runtime import arithmetic
from ..runtime.arrays import as_array
from ..runtime.convert import as_tensor
from ..runtime.location import at
from ..runtime.tensor import Tensor
from . import number_range
from .number_operators import Operators
from .number_range import DECIDED, INT32, INT64, RANGES, Range, exactly, plain, sum_of
from .trials import give_up

Owners = frozenset[Any]
TENSORS: Owners = frozenset(("tensors",))  # in place of trials: the owner of numbers of loops that a tensor controls


class Number(Operators):
    """See the module's text.

    Attributes:
      tensor: the value, bool, i32, i64 or f64. kind: bool, int or float. range: of an int or bool.
      owners: the open trials whose loops have to be unrolled for the number to be known.
    """

    __slots__ = ("kind", "owners", "range", "tensor")
    kind: type

    def __init__(self, tensor: Tensor, kind: type, range: Range | None, owners: Owners) -> None:
        self.tensor, self.kind, self.owners = tensor, kind, owners
        self.range: Range = range if kind is int and range is not None else plain(0, 1)

    # ------------------------------------------------------------ as a tensor
    def as_tensor(self, dtype: DType | None) -> Tensor:
        """A scalar tensor, as `runtime.convert.as_tensor` makes one of a Python number. Raises DtypeMismatch."""
        if dtype is None:
            dtype = self._own_dtype()
        else:
            as_array(self.kind(1), dtype)  # whether Python's number could be one
        return arithmetic.cast(self.tensor, dtype)

    def _own_dtype(self) -> DType:
        if self.kind is not int:
            return bool_ if self.kind is bool else float32
        if self.range.fits(INT32) or self.owners & TENSORS:
            return int32  # of a loop that a tensor controls no range is known: TensorFlow's dtype for Python's ints
        if self.range.low > INT32[1] or self.range.high < INT32[0]:
            return int64
        return self.needed("the number may need an int32 or an int64 tensor, by the trip")

    def as_index(self, size: Any) -> tuple[Tensor, bool]:
        """As `Weak`."""
        if self.kind is not int:
            self.needed("the number is used as an index")
        return self.tensor, self.range.low < 0

    def largest(self) -> int | None:
        """As `Weak`."""
        return self.range.high if self.kind is int else None

    def known(self) -> Any:
        """As `Weak`."""
        from .number_value import known

        return known(self)

    def span(self, start: Any, stop: Any, size: Any) -> tuple[Any, int] | None:
        """As `Weak`: the length has to be the same on all trips and the slice has to lie inside, provably."""
        first, last = (range_of(x) for x in (0 if start is None else start, size if stop is None else stop))
        if first is not None and last is not None and first.low >= 0 and isinstance(size, int):
            length = {v: c for v, c in sum_of(last.terms, first.terms, -1).items() if c}
            exact = first.least == first.most and last.least == last.most
            if not length and exact and last.high <= size and last.least >= first.least:
                place = start.tensor if isinstance(start, Number) else start
                return place, last.least - first.least
        return None

    # ------------------------------------------------------------ where Python needs the value
    def needed(self, what: str) -> NoReturn:
        """Unrolls the loop that the number belongs to."""
        give_up(what + at(), self.owners)
        raise TypeError(
            f"{what}, but its value is not known while the function is traced: a tensor decides it, or a loop on "
            f"tensors changes it. Use pb.gather or pb.where in place of a Python list or number{at()}"
        )

    def _value(self, what: str) -> Any:
        from .number_value import known

        found = known(self)
        if found is None:
            self.needed(what)
        return found

    def __index__(self) -> int:
        return operator.index(self._value("the number is used as a list index, a shape, an axis or a size"))

    def __int__(self) -> int:
        return int(self._value("int() of the number"))

    def __float__(self) -> float:
        return float(self._value("float() of the number (by a library)"))

    def __complex__(self) -> complex:
        return complex(self._value("complex() of the number"))

    def __bool__(self) -> bool:
        return bool(self._value("the truth of the number decides in Python that is not rewritten"))

    def __hash__(self) -> int:
        return hash(self._value("the number is a dict key or an element of a set"))

    def __format__(self, spec: str) -> str:
        return format(self._value("text is made of the number"), spec)

    def __repr__(self) -> str:
        return repr(self._value("text is made of the number"))

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._value("round() of the number"), digits)

    def __trunc__(self) -> int:
        return int(self)

    def __floor__(self) -> int:
        return int(np.floor(self._value("floor() of the number")))

    def __ceil__(self) -> int:
        return int(np.ceil(self._value("ceil() of the number")))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._value("a NumPy array is made of the number"), dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(self.kind, name):
            raise AttributeError(f"'{self.kind.__name__}' object has no attribute '{name}'")
        return getattr(self._value(f"the number's attribute {name!r}"), name)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .number_numpy import ufunc_of_numbers

        return ufunc_of_numbers(ufunc, method, inputs, kwargs)

    # ------------------------------------------------------------ operators
    @staticmethod
    def binary(name: str, x: Any, y: Any) -> Any:
        """As `Operators`."""
        return _binary(name, x, y)

    def compare(self, name: str, other: Any) -> Any:
        """As `Operators`."""
        return _compare(name, self, other)

    def __neg__(self) -> Any:
        return 0 - self if self.kind is not float else Number(-self.tensor, float, None, self.owners)

    def __pos__(self) -> Any:
        return self + 0 if self.kind is bool else self

    def __invert__(self) -> Any:
        return -1 - self

    def __abs__(self) -> Any:
        if self.kind is float:
            return Number(abs(self.tensor), float, None, self.owners)
        r = self.range
        if r.low >= 0:
            return +self
        return Number(abs(self.tensor), int, plain(0, max(-r.low, r.high)), self.owners)

    def logical_not(self) -> Number:
        """`not` of a truth value."""
        return Number(arithmetic.logical_not(self.truth()), bool, None, self.owners)

    def truth(self) -> Tensor:
        """Whether the number is not zero, as a bool tensor."""
        if self.kind is bool:
            return self.tensor
        return arithmetic.not_equal(self.tensor, as_tensor(self.kind(0), self.tensor.dtype))


def kind_of(x: Any) -> type | None:
    """bool, int or float for a Python number or a `Number`; None for anything else."""
    if isinstance(x, Number):
        return x.kind
    if isinstance(x, bool):
        return bool
    if isinstance(x, (int, np.integer)):
        return int
    return float if isinstance(x, float) else None


def joined(a: type | None, b: type | None) -> type:
    """The kind of a number that is of one of two kinds."""
    order = (bool, int, float)
    assert a is not None
    assert b is not None
    return a if order.index(a) >= order.index(b) else b


def range_of(x: Any) -> Range | None:
    """What is known of an int or bool; None for floats and other things."""
    if isinstance(x, Number):
        return x.range if x.kind is not float else None
    return exactly(int(x)) if isinstance(x, (int, np.integer)) else None


def owners_of(*xs: Any) -> Owners:
    """The owners of all numbers among `xs`."""
    found: Owners = frozenset()
    for x in xs:
        if isinstance(x, Number):
            found |= x.owners
    return found


def storage(kind: type, range: Range | None) -> DType:
    """The dtype in which the values of a number are computed."""
    if kind is not int:
        return bool_ if kind is bool else float64
    assert range is not None
    return int32 if range.fits(INT32) else int64


def stored(x: Any, dtype: DType) -> Tensor:
    """A number's value in a dtype of `storage`."""
    if isinstance(x, Number):
        return arithmetic.cast(x.tensor, dtype)
    return as_tensor(dtype.np.type(x) if dtype is not float64 else np.float64(x))


_OPS: dict[str, Callable[[Any, Any], Tensor]] = {
    "add": arithmetic.add, "sub": arithmetic.subtract, "mul": arithmetic.multiply, "div": arithmetic.truediv,
    "floordiv": arithmetic.floordiv, "mod": arithmetic.mod, "pow": arithmetic.pow,
    "and": lambda x, y: arithmetic.logic("and", x, y), "or": lambda x, y: arithmetic.logic("or", x, y),
    "xor": lambda x, y: arithmetic.logic("xor", x, y),
    "lt": arithmetic.less, "le": arithmetic.less_equal, "gt": arithmetic.greater, "ge": arithmetic.greater_equal,
    "eq": arithmetic.equal, "ne": arithmetic.not_equal,
}  # fmt: skip


def _binary(name: str, x: Any, y: Any) -> Any:
    kinds = kind_of(x), kind_of(y)
    if None in kinds or (isinstance(y, Number) and y.lifted):
        return NotImplemented
    owners = owners_of(x, y)
    whole = float not in kinds
    if name in ("and", "or", "xor") and kinds == (bool, bool):
        f = {"and": arithmetic.logical_and, "or": arithmetic.logical_or, "xor": arithmetic.logical_xor}[name]
        return Number(f(stored(x, bool_), stored(y, bool_)), bool, None, owners)
    if not whole or name == "div" or (name == "pow" and range_of(y).low < 0):  # type: ignore[union-attr]
        if name in ("and", "or", "xor"):
            return NotImplemented
        tensors = stored(x, float64), stored(y, float64)
        return Number(_OPS[name](*tensors), float, None, owners)
    ranges = range_of(x), range_of(y)
    assert ranges[0] is not None
    assert ranges[1] is not None
    found = RANGES[name](ranges[0], ranges[1])
    if found is None or not found.fits(INT64):
        why = "may be too large for 64 bits" if found else "may divide by zero, or be too large for 64 bits"
        numbers = [n for n in (x, y) if isinstance(n, Number)]
        if not owners & TENSORS:
            numbers[0].needed(f"an int {why}")
        found = plain(*INT64)  # of a loop that a tensor controls: as NumPy's ints
    if found.low == found.high:
        return found.low
    same = _unchanged(name, x, y)
    if same is not None:
        return same
    dtype = int64 if any(not r.fits(INT32) for r in (*ranges, found) if r is not None) else int32
    return Number(_OPS[name](stored(x, dtype), stored(y, dtype)), int, found, owners)


def _unchanged(name: str, x: Any, y: Any) -> Any:
    """The operand that is the result, as in `x + 0`; None when there is none."""
    for a, n in ((x, y), (y, x)):
        number = type(n) is int and isinstance(a, Number) and a.kind is int
        if number and ((name, n) in (("add", 0), ("mul", 1)) or ((name, n) == ("sub", 0) and a is x)):
            return a
    return None


def _compare(name: str, x: Any, y: Any) -> Any:
    if kind_of(y) is None or (isinstance(y, Number) and y.lifted):
        return NotImplemented
    a, b = range_of(x), range_of(y)
    if a is not None and b is not None:
        difference = number_range.add(a, number_range.negated(b))
        if not difference.terms:
            a, b = plain(difference.least, difference.most), exactly(0)
        decided = DECIDED[name](a, b)
        if decided is not None:
            return decided
        x_range, y_range = range_of(x), range_of(y)
        assert x_range is not None
        assert y_range is not None
        if not y_range.fits(INT64):
            x.needed("the number is compared with one of more than 64 bits")
        dtype = int32 if x_range.fits(INT32) and y_range.fits(INT32) else int64
    else:
        dtype = float64
    return Number(_OPS[name](stored(x, dtype), stored(y, dtype)), bool, None, owners_of(x, y))
