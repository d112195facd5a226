"""What is known of a Python int while a function is traced: bounds, and how it depends on indices of loops.

The arithmetic of these facts follows that of the ints. None stands for a result of which nothing useful is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..ir.graph import Value

INT32 = (-(2**31), 2**31 - 1)
INT64 = (-(2**63), 2**63 - 1)
Term = tuple[Value, int, int]  # a value of the IR, and its bounds


@dataclass(frozen=True)
class Range:
    """What is known of an int: `low <= n <= high`, and n = sum(terms) + c for some c of `least .. most`."""

    low: int
    high: int
    terms: dict[Term, int] = field(default_factory=dict)
    least: int = 0
    most: int = 0

    def fits(self, bounds: tuple[int, int]) -> bool:
        """Whether all values lie within bounds."""
        return bounds[0] <= self.low and self.high <= bounds[1]

    def hull(self, other: Range) -> Range:
        """What is known of a number that is one of two."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        if self.terms == other.terms:
            return Range(low, high, self.terms, min(self.least, other.least), max(self.most, other.most))
        return plain(low, high)

    def step_from(self, value: Value) -> tuple[int, int] | None:
        """How far the number is from a value of the IR: least and most; None when that is not known."""
        low, high, found = self.least, self.most, 0
        for (term, least, most), c in self.terms.items():
            if term is value:
                found = c
            else:
                low, high = low + min(c * least, c * most), high + max(c * least, c * most)
        return (low, high) if found == 1 else None


def plain(low: int, high: int) -> Range:
    """A range of which only the bounds are known."""
    return Range(low, high, {}, low, high)


def exactly(n: int) -> Range:
    """The range of a known number."""
    return plain(n, n)


def sum_of(a: dict[Term, int], b: dict[Term, int], factor: int = 1) -> dict[Term, int]:
    out = dict(a)
    for v, c in b.items():
        out[v] = out.get(v, 0) + factor * c
    return {v: c for v, c in out.items() if c}


def add(a: Range, b: Range) -> Range:
    return Range(a.low + b.low, a.high + b.high, sum_of(a.terms, b.terms), a.least + b.least, a.most + b.most)


def negated(a: Range) -> Range:
    return Range(-a.high, -a.low, {v: -c for v, c in a.terms.items()}, -a.most, -a.least)


def multiply(a: Range, b: Range) -> Range:
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    low, high = min(corners), max(corners)
    for x, k in ((a, b), (b, a)):
        if k.low == k.high:
            n = k.low
            ends = sorted((x.least * n, x.most * n))
            return Range(low, high, {v: c * n for v, c in x.terms.items() if n}, ends[0], ends[1])
    return plain(low, high)


def _floordiv(a: Range, b: Range) -> Range | None:
    if b.low <= 0 <= b.high:
        return None
    corners = [x // y for x in (a.low, a.high) for y in (b.low, b.high)]
    return plain(min(corners), max(corners))


def _mod(a: Range, b: Range) -> Range | None:
    if b.low > 0:
        return a if a.low >= 0 and a.high < b.low else plain(0, b.high - 1)
    return plain(b.low + 1, 0) if b.high < 0 else None


def _pow(a: Range, b: Range) -> Range | None:
    if b.low < 0 or b.high > 64 or max(abs(a.low), abs(a.high)) > 2**32:
        return None
    corners = [x**y for x in (a.low, a.high) for y in (b.low, b.high)]
    low, high = min(corners), max(corners)
    return plain(low, high) if a.low >= 0 else plain(-max(-low, high), max(-low, high))


def _bits(a: Range, b: Range) -> Range | None:
    return None if a.low < 0 or b.low < 0 else plain(0, (1 << max(a.high, b.high).bit_length()) - 1)


RANGES: dict[str, Callable[[Range, Range], Range | None]] = {
    "add": add, "sub": lambda a, b: add(a, negated(b)), "mul": multiply, "floordiv": _floordiv, "mod": _mod,
    "pow": _pow, "and": _bits, "or": _bits, "xor": _bits,
}  # fmt: skip
DECIDED: dict[str, Callable[[Range, Range], bool | None]] = {
    "lt": lambda a, b: True if a.high < b.low else False if a.low >= b.high else None,
    "le": lambda a, b: True if a.high <= b.low else False if a.low > b.high else None,
    "gt": lambda a, b: True if a.low > b.high else False if a.high <= b.low else None,
    "ge": lambda a, b: True if a.low >= b.high else False if a.high < b.low else None,
    "eq": lambda a, b: False if a.low > b.high or a.high < b.low else None,
    "ne": lambda a, b: True if a.low > b.high or a.high < b.low else None,
}
