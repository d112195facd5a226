"""Sizes that stand for many: ints with a name, which remember on what their uses relied.

A `Size` is a symbolic dimension (`dims.Dim`) together with the number that it has in the call at hand, its hint. It
takes part in arithmetic as an int does, and gives sizes again. What cannot be decided for all sizes at once (is
`n < 4096`? is `n` 17?) is decided by the hint, and the answer is kept as a guard: what was made with these sizes is
right for all others that give the same answers. Where a plain int is asked for (`range(n)`, `np.zeros(n)`), the guard
is that the size be just that one. So code written for known sizes serves unknown ones, and is never wrong.

All named sizes are at least `LEAST`: 0 and 1 have rules of their own (no elements, broadcasting).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .dim_bounds import LEAST, bounds
from .dims import Dim, DimLike, floordiv, maximum, substitute, symbol

_POWERS = 8
_NUMBERS = (float, complex, np.ndarray, np.generic, Dim)


class Session:
    """One compilation, or one trace, with named sizes.

    Attributes:
      hints: the number that each name stands for in this call. guards: what was decided by them, `("ge", d)` for
        `d >= 0` and `("eq", d)` for `d == 0`, with the answer. pins: the sizes that were needed as ints.
      shown: whether a size prints as the number that it is in this call, for users to read, and is that one then.
      where: gives the user's line. needed: the line where a size was first needed as a number, as text.
      slots: sizes that code needs at run time, in order of their numbers; see `codegen.size_table`.
    """

    def __init__(
        self, hints: Mapping[str, int], shown: bool = False, where: Callable[[], object] | None = None
    ) -> None:
        self.shown = shown
        self.where, self.needed = where, ""
        self.hints = dict(hints)
        self.guards: dict[tuple[str, Dim], bool] = {}
        self.slots: dict[DimLike, int] = {}
        self.emitting = self.closed = False

    def size(self, d: DimLike) -> Any:
        """A symbolic dimension as a size of this session (an int stays one); an int when the session is over."""
        if self.closed:
            return substitute(d, self.hints)
        return Size(d, self) if isinstance(d, Dim) else d

    def close(self) -> None:
        """The session is over: sizes that somebody still holds are the numbers that they were."""
        self.closed = True

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether other sizes give the same answers."""
        if any(n < LEAST for n in sizes.values()):
            return False
        return all(_answer(kind, substitute(d, sizes)) is said for (kind, d), said in self.guards.items())

    def ask(self, kind: str, d: DimLike) -> bool:
        """The answer to `d >= 0` or `d == 0`; a guard where it is not the same for all sizes."""
        if self.closed:
            d = substitute(d, self.hints)
        if isinstance(d, int):
            return _answer(kind, d)
        low, high = bounds(d)
        if kind == "ge" and (low >= 0 or high < 0):
            return low >= 0
        if kind == "eq" and (low > 0 or high < 0):
            return False
        return self.keep(kind, _positive(d) if kind == "eq" else d, _answer(kind, substitute(d, self.hints)))

    def keep(self, kind: str, d: Dim, said: bool) -> bool:
        """Notes an answer that was given by the hints."""
        if said and kind == "eq" and self.where is not None and not self.needed and _settles(d):
            self.needed = f" at {self.where()}"
        return self.guards.setdefault((kind, d), said)

    @property
    def pinned(self) -> bool:
        """Whether some answer leaves a name one single number."""
        return any(kind == "eq" and said and _settles(d) for (kind, d), said in self.guards.items())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Inside, sizes print as operands of code: `%size.0`."""
        before, self.emitting = self.emitting, True
        try:
            yield
        finally:
            self.emitting = before


def _settles(d: Dim) -> bool:
    return not d._atoms and len(d.symbols) == 1


def _answer(kind: str, d: DimLike) -> bool:
    assert isinstance(d, int)
    return d >= 0 if kind == "ge" else d == 0


def _plain(x: Any) -> bool:
    return type(x) is int or type(x) is Size or type(x) is bool


def _dim(x: Any) -> DimLike:
    return x.dim if type(x) is Size else int(x)


Operator = Callable[[Any, Any], Any]


def _pinned(f: Operator) -> Operator:
    """`size op other` with the number in place of the size; a Tensor does it by itself, with the size."""
    return lambda self, other: f(int(self), other) if isinstance(other, _NUMBERS) else NotImplemented


def _operator(f: Operator, rule: Callable[[DimLike, DimLike], DimLike]) -> Operator:
    """`size op other` on dimensions, if the other is an int or a size."""
    number = _pinned(f)

    def method(self: Size, other: Any) -> Any:
        return self.session.size(rule(self.dim, _dim(other))) if _plain(other) else number(self, other)

    return method


def _order(f: Operator, rule: Callable[[DimLike, DimLike], DimLike]) -> Operator:
    """A comparison that holds where `rule` of the dimensions is not negative."""
    number = _pinned(f)

    def method(self: Size, other: Any) -> Any:
        return self.session.ask("ge", rule(self.dim, _dim(other))) if _plain(other) else number(self, other)

    return method


def _pinned_int(f: Operator) -> tuple[Operator, Operator]:
    """An operator, and its reflection, for which the size is always the number."""

    def method(self: Size, other: Any) -> Any:
        return f(int(self), int(other) if type(other) is Size else other) if _is_number(other) else NotImplemented

    def reflected(self: Size, other: Any) -> Any:
        return f(other, int(self)) if _is_number(other) else NotImplemented

    return method, reflected


def _is_number(x: Any) -> bool:
    return _plain(x) or isinstance(x, _NUMBERS)


def _divisor(x: Any) -> Any:
    """What something is divided by. Raises ZeroDivisionError for 0."""
    if _plain(x) and not x:
        raise ZeroDivisionError("integer division or modulo by zero")
    return x


def _reflected(f: Operator) -> Operator:
    return lambda a, b: f(b, a)


def _mod(a: DimLike, b: DimLike, session: Session) -> Any:
    """`a % b`; `a` itself where it is known to lie below `b`."""
    if bounds(a)[0] >= 0 and bounds(b - a)[0] > 0:
        return session.size(a)
    return session.size(a - floordiv(a, b) * b)


_REST, _REST_OF = _pinned_int(operator.mod)


class Size:
    """A size with a name; see the module. `dim` is never an int: what comes out as one is one."""

    __slots__ = ("dim", "session")

    # `isinstance(x, int)` holds, while C code, which needs the number, has to ask for it with `__index__`.
    __class__ = property(lambda self: int)

    def __init__(self, dim: Dim, session: Session) -> None:
        self.dim = dim
        self.session = session

    @property
    def hint(self) -> int:
        """The number in the call at hand, for decisions that any answer is right for."""
        value = substitute(self.dim, self.session.hints)
        assert isinstance(value, int)
        return value

    # ------------------------------------------------------------ arithmetic
    __add__ = __radd__ = _operator(operator.add, operator.add)
    __mul__ = __rmul__ = _operator(operator.mul, operator.mul)
    __sub__ = _operator(operator.sub, operator.sub)
    __rsub__ = _operator(_reflected(operator.sub), _reflected(operator.sub))
    _over = _operator(operator.floordiv, floordiv)
    _under = _operator(_reflected(operator.floordiv), _reflected(floordiv))
    __truediv__, __rtruediv__ = _pinned_int(operator.truediv)
    __lshift__, __rlshift__ = _pinned_int(operator.lshift)
    __rshift__, __rrshift__ = _pinned_int(operator.rshift)
    __and__, __rand__ = _pinned_int(operator.and_)
    __or__, __ror__ = _pinned_int(operator.or_)
    __xor__, __rxor__ = _pinned_int(operator.xor)
    _power, __rpow__ = _pinned_int(operator.pow)

    def __pow__(self, other: Any) -> Any:
        if type(other) is int and 0 < other <= _POWERS:
            return self * self ** (other - 1) if other > 1 else self
        return self._power(other)

    def __invert__(self) -> Any:
        return -self - 1

    def __neg__(self) -> Any:
        return self.session.size(-self.dim)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __floordiv__(self, other: Any) -> Any:
        return self._over(_divisor(other))

    def __rfloordiv__(self, other: Any) -> Any:
        return _divisor(self)._under(other)

    def __mod__(self, other: Any) -> Any:
        if not _plain(other):
            return _REST(self, other)
        return _mod(self.dim, _dim(_divisor(other)), self.session)

    def __rmod__(self, other: Any) -> Any:
        if not _plain(other):
            return _REST_OF(self, other)
        return _mod(_dim(other), _divisor(self).dim, self.session)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    # ------------------------------------------------------------ questions
    def __eq__(self, other: object) -> bool:
        if not _plain(other):
            return int(self) == other if isinstance(other, _NUMBERS) else NotImplemented
        if type(other) is Size and other.session is not self.session:
            return False
        return self.session.ask("eq", self.dim - _dim(other))

    def __hash__(self) -> int:
        return hash((id(self.session), self.dim))

    __lt__ = _order(operator.lt, lambda a, b: b - a - 1)
    __le__ = _order(operator.le, lambda a, b: b - a)
    __gt__ = _order(operator.gt, lambda a, b: a - b - 1)
    __ge__ = _order(operator.ge, lambda a, b: a - b)

    def __bool__(self) -> bool:
        return not self.session.ask("eq", self.dim)

    # ------------------------------------------------------------ as a number
    def __index__(self) -> int:
        value = self.hint
        if not self.session.closed:
            self.session.keep("eq", _positive(self.dim - value), True)
        return value

    __int__ = __trunc__ = __floor__ = __ceil__ = __index__

    def __float__(self) -> float:
        return float(self.__index__())

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return getattr(ufunc, method)(*[int(x) if type(x) is Size else x for x in inputs], **kwargs)

    def __round__(self, digits: int | None = None) -> int:
        return round(int(self), digits)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__array"):  # NumPy looks for these, and then takes the number
            raise AttributeError(name)
        return getattr(int(self), name)

    # ------------------------------------------------------------ text
    def __str__(self) -> str:
        if self.session.shown:
            return str(int(self))
        if not self.session.emitting:
            return str(self.dim)
        return f"%size.{self.session.slots.setdefault(self.dim, len(self.session.slots))}"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __reduce__(self) -> Any:
        return int, (int(self),)

    def __copy__(self) -> Size:
        return self

    def __deepcopy__(self, memo: Any) -> Size:
        return self


def _positive(d: DimLike) -> Dim:
    assert isinstance(d, Dim)
    out = -d if d.terms[-1][1] < 0 else d
    assert isinstance(out, Dim)
    return out


def is_named(n: Any) -> bool:
    """Whether a number is a size with a name."""
    return type(n) is Size and not n.session.closed


def text_of(n: Any) -> str:
    """A size as text, for messages and dumps: its name, or the number of the call at hand where users read it."""
    if type(n) is not Size or n.session.emitting:
        return str(n)
    return str(n.hint) if n.session.shown else str(n.dim)


def has_named(types: Any) -> bool:
    """Whether a shape of these types has a size with a name."""
    return any(type(d) is Size for t in types for d in t.shape)


def estimate(n: Any) -> int:
    """The number in the call at hand: for choices that are right for all sizes, and of which one is faster."""
    return n.hint if type(n) is Size else n


def larger(a: Any, b: Any) -> Any:
    """The larger of two sizes, which may be one or the other for different calls."""
    for n in (a, b):
        if type(n) is Size:
            return n.session.size(maximum(dim_of(a), dim_of(b)))
    return max(a, b)


def smaller(a: Any, b: Any) -> Any:
    """The smaller of two sizes, which may be one or the other for different calls."""
    return -larger(-a, -b)


def divides(by: int, n: Any) -> bool:
    """Whether a number divides a size, whatever the size is."""
    if type(n) is Size:
        return all(c % by == 0 for _, c in n.dim.terms)
    return bool(n % by == 0)


def dim_of(n: Any) -> DimLike:
    """A size as a symbolic dimension."""
    return n.dim if type(n) is Size else n


def named(session: Session) -> dict[str, Any]:
    """The sizes that a session has names for."""
    return {k: session.size(symbol(k)) for k in session.hints}
