"""Between which numbers a symbolic dimension lies, by its form alone."""

from __future__ import annotations

import math

from .dims import Dim, DimLike, symbol

LEAST = 2  # what every size with a name is at least: 0 and 1 have rules of their own (no elements, broadcasting)
_FREE = math.inf


def bounds(d: DimLike) -> tuple[float, float]:
    """The least and the largest number that a dimension can be, as far as its form tells."""
    if isinstance(d, int):
        return d, d
    if not d._atoms:
        return _polynomial_bounds(d)
    low = high = 0.0
    for monomial, c in d.terms:
        least, most = 1.0, 1.0
        for name in monomial:
            ends = [_times(x, y) for x in (least, most) for y in _atom_bounds(d, name)]
            least, most = min(ends), max(ends)
        low += c * (least if c > 0 else most)
        high += c * (most if c > 0 else least)
    return low, high


def _polynomial_bounds(d: Dim) -> tuple[float, float]:
    """Those of a polynomial, written in what its sizes exceed the least one by."""
    shifted = d.substitute({name: symbol(name) + LEAST for name in d.symbols})
    terms = dict(shifted.terms) if isinstance(shifted, Dim) else {(): shifted}
    start = terms.pop((), 0)
    low = start if all(c >= 0 for c in terms.values()) else -_FREE
    high = start if all(c <= 0 for c in terms.values()) else _FREE
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
