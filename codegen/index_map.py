"""Where an element comes from: integer expressions in the loop variables of a nest.

An `Index` is a constant plus a sum of integer multiples of atoms. Atoms are loop variables, quotients and
remainders (what a reshape that does not line up needs) and data (`Dyn`: an element of an integer value, which the
code checks against its range). Every index map op (transpose, slice, reverse, broadcast, reshape, ...) only
rewrites the tuple of indices at which its operand is read, so a chain of them costs nothing at run time: the
address that finally comes out is one affine expression. Quotients and remainders of the same number that meet again
in an address cancel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from ..ir.graph import Op, Value

Atom = Union["Var", "Quot", "Rem", "Dyn"]
At = tuple["Index", ...]


class Index:
    """`const + sum(coefficient * atom)`. Immutable, compared by content."""

    __slots__ = ("_hash", "const", "terms")

    def __init__(self, const: int = 0, terms: Mapping[Atom, int] | None = None) -> None:
        self.const = const
        self.terms: Mapping[Atom, int] = terms or {}
        self._hash = 0

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Index) and self.const == other.const and self.terms == other.terms

    def __hash__(self) -> int:
        if not self._hash:
            self._hash = hash((self.const, frozenset(self.terms.items()))) or 1
        return self._hash

    def __repr__(self) -> str:
        parts = [f"{a}" if c == 1 else f"{c}*{a}" for a, c in sorted(self.terms.items(), key=lambda t: repr(t[0]))]
        if self.const or not parts:
            parts.append(str(self.const))
        return " + ".join(parts)

    def __add__(self, other: Index) -> Index:
        terms = dict(self.terms)
        for atom, c in other.terms.items():
            terms[atom] = terms.get(atom, 0) + c
        return _normal(self.const + other.const, terms)

    def plus(self, const: int) -> Index:
        """This index moved by a constant."""
        return Index(self.const + const, self.terms) if const else self

    def times(self, factor: int) -> Index:
        """This index times a constant."""
        if factor == 1:
            return self
        if factor == 0:
            return ZERO
        return Index(self.const * factor, {a: c * factor for a, c in self.terms.items()})


@dataclass(frozen=True, slots=True)
class Var:
    """A loop variable: level `level` of the nest, running from 0 to `extent` - 1."""

    level: int
    extent: int

    def __repr__(self) -> str:
        return f"i{self.level}"


@dataclass(frozen=True, slots=True)
class Quot:
    """`of // by`, `of` never negative."""

    of: Index
    by: int

    def __repr__(self) -> str:
        return f"({self.of})/{self.by}"


@dataclass(frozen=True, slots=True)
class Rem:
    """`of % by`, `of` never negative."""

    of: Index
    by: int

    def __repr__(self) -> str:
        return f"({self.of})%{self.by}"


@dataclass(frozen=True, slots=True)
class Dyn:
    """The element of the integer `value` at `at`, minus `low`; checked at run time to lie in 0..extent-1."""

    value: Value
    at: At
    extent: int
    low: int
    op: Op = field(compare=False)  # the one that asked first, for the error

    def __repr__(self) -> str:
        return f"[{self.value.name or '%'}{list(self.at)}]"


ZERO = Index()


def constant(n: int) -> Index:
    """A fixed index."""
    return Index(n) if n else ZERO


def variable(level: int, extent: int) -> Index:
    """The loop variable of a level; a loop of one trip has the constant index 0."""
    return Index(0, {Var(level, extent): 1}) if extent != 1 else ZERO


def atom(a: Atom) -> Index:
    """An atom alone."""
    return Index(0, {a: 1})


def bounds(e: Index) -> tuple[int, int]:
    """The smallest and largest value that `e` may take (inclusive)."""
    lo = hi = e.const
    for a, c in e.terms.items():
        if isinstance(a, (Var, Dyn)):
            top = a.extent - 1
        elif isinstance(a, Rem):
            top = a.by - 1
        else:
            top = bounds(a.of)[1] // a.by
        if c > 0:
            hi += c * top
        else:
            lo += c * top
    return lo, hi


def _normal(const: int, terms: dict[Atom, int]) -> Index:
    """The sum without zero terms, and with `by * (e // by) + e % by` put together to `e` again."""
    for a in [a for a in terms if isinstance(a, Rem)]:
        c = terms[a]
        assert isinstance(a, Rem)
        whole = Quot(a.of, a.by)
        if c and terms.get(whole) == c * a.by:
            del terms[a], terms[whole]
            rest = Index(const, {k: v for k, v in terms.items() if v})
            return rest + a.of.times(c)
    return Index(const, {k: v for k, v in terms.items() if v})


def divide(e: Index, by: int) -> tuple[Index, Index]:
    """`(e // by, e % by)` for an `e` that is never negative, simplified as far as ranges allow."""
    if by == 1:
        return e, ZERO
    lo, hi = bounds(e)
    if lo >= 0 and hi < by:
        return ZERO, e
    quotient, rest = _split(e, by)
    lo, hi = bounds(rest)
    if lo >= 0 and hi < by:
        return quotient, rest
    for g in sorted({abs(c) for c in rest.terms.values()}, reverse=True):
        if 1 < g < by and by % g == 0:
            high, low = _split(rest, g)
            lo, hi = bounds(low)
            if lo >= 0 and hi < g:
                inner = by // g
                return quotient + atom(Quot(high, inner)), atom(Rem(high, inner)).times(g) + low
    return quotient + atom(Quot(rest, by)), atom(Rem(rest, by))


def _split(e: Index, by: int) -> tuple[Index, Index]:
    """e = by * first + second, where first takes every term that `by` divides."""
    first = Index(e.const // by, {a: c // by for a, c in e.terms.items() if c % by == 0})
    second = Index(e.const % by, {a: c for a, c in e.terms.items() if c % by})
    return first, second


def flatten(at: Iterable[Index], shape: Sequence[int]) -> Index:
    """The position of an element in a C-contiguous array."""
    total = ZERO
    for i, s in zip(at, strides_of(shape), strict=True):
        if i is not ZERO:
            total = total + i.times(s)
    return total


def unflatten(flat: Index, shape: Sequence[int]) -> At:
    """The indices of the element at position `flat` of a C-contiguous array."""
    out: list[Index] = []
    for n in reversed(shape[1:]):
        flat, rest = divide(flat, n) if n != 1 else (flat, ZERO)
        out.append(rest)
    if shape:
        out.append(flat if shape[0] != 1 else ZERO)
    return tuple(reversed(out))


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a C-contiguous array in elements."""
    out, step = [], 1
    for n in reversed(shape):
        out.append(step)
        step *= n
    return tuple(reversed(out))


def reshaped(at: At, out_shape: Sequence[int], in_shape: Sequence[int]) -> At:
    """Where a reshape from `in_shape` to `out_shape` reads, group by group of dimensions of the same elements."""
    if 0 in in_shape:
        return (ZERO,) * len(in_shape)  # there is no element to read
    result: list[Index] = []
    for outs, ins in _groups(out_shape, in_shape):
        group = at[outs[0] : outs[1]]
        shape = in_shape[ins[0] : ins[1]]
        if list(out_shape[outs[0] : outs[1]]) == list(shape):
            result.extend(group)
        else:
            result.extend(unflatten(flatten(group, out_shape[outs[0] : outs[1]]), shape))
    return tuple(result)


def _groups(a: Sequence[int], b: Sequence[int]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Cuts two shapes of one size into runs of dimensions with equal products, as short as possible."""
    out = []
    i = j = 0
    while i < len(a) or j < len(b):
        i0, j0 = i, j
        pa, i = (a[i], i + 1) if i < len(a) else (1, i)
        pb, j = (b[j], j + 1) if j < len(b) else (1, j)
        while pa != pb:
            if pa < pb:
                pa, i = pa * a[i], i + 1
            else:
                pb, j = pb * b[j], j + 1
        out.append(((i0, i), (j0, j)))
    return out


def broadcast(at: At, out_shape: Sequence[int], in_shape: Sequence[int]) -> At:
    """Where an operand of `in_shape` is read for the element `at` of the broadcast `out_shape` (NumPy's rule)."""
    if tuple(out_shape) == tuple(in_shape):
        return at
    skip = len(out_shape) - len(in_shape)
    return tuple(ZERO if n == 1 else at[skip + k] for k, n in enumerate(in_shape))


def levels_of(e: Index) -> set[int]:
    """The levels whose variables occur in `e`, inside other atoms too."""
    out: set[int] = set()
    for a in e.terms:
        if isinstance(a, Var):
            out.add(a.level)
        elif isinstance(a, Dyn):
            for i in a.at:
                out |= levels_of(i)
        else:
            out |= levels_of(a.of)
    return out


def substitute(e: Index, to: Mapping[int, Index]) -> Index:
    """`e` with the variables of some levels replaced."""
    if not e.terms:
        return e
    total = Index(e.const)
    for a, c in e.terms.items():
        if isinstance(a, Var):
            new = to.get(a.level)
            total = total + (atom(a) if new is None else new).times(c)
        elif isinstance(a, Dyn):
            at = tuple(substitute(i, to) for i in a.at)
            total = total + atom(Dyn(a.value, at, a.extent, a.low, a.op)).times(c)
        else:
            quotient, rest = divide(substitute(a.of, to), a.by)
            total = total + (quotient if isinstance(a, Quot) else rest).times(c)
    return total
