"""Sizes that stand for many: ints with a name, which remember on what their uses relied.

A `Size` is a symbolic dimension (`dims.Dim`) together with the number that it has in the call at hand, its hint. It
takes part in arithmetic as an int does, and gives sizes again. What cannot be decided for all sizes at once (is
`n < 4096`? is `n` 17?) is decided by the hint, and the answer is kept as a guard: what was made with these sizes is
right for all others that give the same answers. Where a plain int is asked for (`range(n)`, `np.zeros(n)`), the guard
is that the size be just that one. So code written for known sizes serves unknown ones, and is never wrong.

All named sizes are at least `LEAST`: 0 and 1 have rules of their own (no elements, broadcasting).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .dims import Dim, DimLike, floordiv, substitute, symbol

LEAST = 2
_FREE = math.inf


class Session:
    """One compilation, or one trace, with named sizes.

    Attributes:
      hints: the number that each name stands for in this call. guards: what was decided by them, `("ge", d)` for
        `d >= 0` and `("eq", d)` for `d == 0`, with the answer. pins: the sizes that were needed as ints.
      slots: sizes that code needs at run time, in order of their numbers; see `codegen.size_table`.
    """

    def __init__(self, hints: Mapping[str, int]) -> None:
        self.hints = dict(hints)
        self.guards: dict[tuple[str, Dim], bool] = {}
        self.slots: dict[DimLike, int] = {}
        self.emitting = False

    def size(self, d: DimLike) -> Any:
        """A symbolic dimension as a size of this session (an int stays one)."""
        return Size(d, self) if isinstance(d, Dim) else d

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether other sizes give the same answers."""
        if any(n < LEAST for n in sizes.values()):
            return False
        return all(_answer(kind, substitute(d, sizes)) is said for (kind, d), said in self.guards.items())

    def ask(self, kind: str, d: DimLike) -> bool:
        """The answer to `d >= 0` or `d == 0`; a guard where it is not the same for all sizes."""
        if isinstance(d, int):
            return _answer(kind, d)
        low, high = bounds(d)
        if kind == "ge" and (low >= 0 or high < 0):
            return low >= 0
        if kind == "eq" and (low > 0 or high < 0):
            return False
        if kind == "eq" and d.terms[-1][1] < 0:
            d = -d  # type: ignore[assignment]
        return self.guards.setdefault((kind, d), _answer(kind, substitute(d, self.hints)))

    @property
    def pinned(self) -> bool:
        """Whether some answer leaves one single size only."""
        return any(kind == "eq" and said for (kind, _), said in self.guards.items())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Inside, sizes print as operands of code: `%size.0`."""
        before, self.emitting = self.emitting, True
        try:
            yield
        finally:
            self.emitting = before


def _answer(kind: str, d: DimLike) -> bool:
    assert isinstance(d, int)
    return d >= 0 if kind == "ge" else d == 0


def bounds(d: DimLike) -> tuple[float, float]:
    """The least and the largest number that a dimension can be, as far as its form tells."""
    if isinstance(d, int):
        return d, d
    low = high = 0.0
    for monomial, c in d.terms:
        least, most = 1.0, 1.0
        for name in monomial:
            ends = [_times(x, y) for x in (least, most) for y in _atom_bounds(d, name)]
            least, most = min(ends), max(ends)
        low += c * (least if c > 0 else most)
        high += c * (most if c > 0 else least)
    return low, high


def _times(a: float, b: float) -> float:
    return a * b if a and b else 0.0


def _atom_bounds(d: Dim, name: str) -> tuple[float, float]:
    f = d._atoms.get(name)
    if f is None:
        return LEAST, _FREE
    (a, b), (c, e) = bounds(f[1]), bounds(f[2])
    if f[0] == "max":
        return max(a, c), max(b, e)
    if f[0] == "min":
        return min(a, c), min(b, e)
    if c != e or c <= 0:
        return (0.0, _FREE) if a >= 0 and c > 0 else (-_FREE, _FREE)
    return (a // c if a > -_FREE else a), (b // c if b < _FREE else b)


def _plain(x: Any) -> bool:
    return type(x) is int or type(x) is Size or type(x) is bool


def _dim(x: Any) -> DimLike:
    return x.dim if type(x) is Size else int(x)


def _operator(name: str, rule: Callable[[DimLike, DimLike], DimLike]) -> Callable[[Size, Any], Any]:
    """`size op other` on dimensions; where the other is no size, on the pinned int."""

    def method(self: Size, other: Any) -> Any:
        if not _plain(other):
            return getattr(int(self), name)(other)
        return self.session.size(rule(self.dim, _dim(other)))

    return method


def _mod(a: DimLike, b: DimLike, session: Session) -> Any:
    """`a % b`; `a` itself where it is known to lie below `b`."""
    if bounds(a)[0] >= 0 and bounds(b - a)[0] > 0:
        return session.size(a)
    return session.size(a - floordiv(a, b) * b)


class Size:
    """A size with a name; see the module. `dim` is never an int: what comes out as one is one."""

    __slots__ = ("dim", "session")

    # `isinstance(x, int)` holds, while C code, which needs the number, has to ask for it with `__index__`.
    __class__ = property(lambda self: int)  # type: ignore[assignment]

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
    __add__ = __radd__ = _operator("__add__", lambda a, b: a + b)
    __mul__ = __rmul__ = _operator("__mul__", lambda a, b: a * b)
    __sub__ = _operator("__sub__", lambda a, b: a - b)
    __rsub__ = _operator("__rsub__", lambda a, b: b - a)
    __floordiv__ = _operator("__floordiv__", floordiv)
    __rfloordiv__ = _operator("__rfloordiv__", lambda a, b: floordiv(b, a))

    def __neg__(self) -> Any:
        return self.session.size(-self.dim)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __mod__(self, other: Any) -> Any:
        return _mod(self.dim, _dim(other), self.session) if _plain(other) else int(self) % other

    def __rmod__(self, other: Any) -> Any:
        return _mod(_dim(other), self.dim, self.session) if _plain(other) else other % int(self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    # ------------------------------------------------------------ questions
    def __eq__(self, other: object) -> bool:
        if not _plain(other):
            return int(self) == other if isinstance(other, (float, complex)) else NotImplemented
        return self.session.ask("eq", self.dim - _dim(other))

    def __hash__(self) -> int:
        return hash((id(self.session), self.dim))

    def _compare(self, other: Any, number: Callable[[int], Any], d: Callable[[DimLike], DimLike]) -> Any:
        return self.session.ask("ge", d(_dim(other))) if _plain(other) else number(int(self))

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, lambda n: n < other, lambda o: o - self.dim - 1)

    def __le__(self, other: Any) -> Any:
        return self._compare(other, lambda n: n <= other, lambda o: o - self.dim)

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, lambda n: n > other, lambda o: self.dim - o - 1)

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, lambda n: n >= other, lambda o: self.dim - o)

    def __bool__(self) -> bool:
        return not self.session.ask("eq", self.dim)

    # ------------------------------------------------------------ as a number
    def __index__(self) -> int:
        value = self.hint
        self.session.guards.setdefault(("eq", _positive(self.dim - value)), True)
        return value

    __int__ = __index__

    def __float__(self) -> float:
        return float(self.__index__())

    def __truediv__(self, other: Any) -> Any:
        return int(self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / int(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__array"):  # NumPy looks for these, and then takes the number
            raise AttributeError(name)
        return getattr(int(self), name)

    # ------------------------------------------------------------ text
    def __str__(self) -> str:
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
    return type(n) is Size


def has_named(types: Any) -> bool:
    """Whether a shape of these types has a size with a name."""
    return any(type(d) is Size for t in types for d in t.shape)


def estimate(n: Any) -> int:
    """The number in the call at hand: for choices that are right for all sizes, and of which one is faster."""
    return n.hint if type(n) is Size else n


def divides(by: int, n: Any) -> bool:
    """Whether a number divides a size, whatever the size is."""
    if type(n) is Size:
        return all(c % by == 0 for _, c in n.dim.terms)
    return bool(n % by == 0)


def dim_of(n: Any) -> DimLike:
    """A size as a symbolic dimension."""
    return n.dim if type(n) is Size else n


def named(names: Mapping[str, int]) -> dict[str, Any]:
    """A size for each name, of one new session."""
    session = Session(names)
    return {k: session.size(symbol(k)) for k in names}
