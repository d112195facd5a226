"""Symbolic dimensions: polynomials with integer coefficients over named sizes.

A dimension of a `TensorType` is a Python int or a `Dim`. Sums and products are kept in one canonical form, so equal
sizes written differently compare equal (`n + n == 2*n`); a quotient, minimum or maximum that does not simplify becomes
an opaque atom (`floordiv(n, 2)`). Only what is proven equal is equal: everything else is unknown until the
function is specialised for sizes (`substitute`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import index
from typing import Union

DimLike = Union[int, "Dim"]
Monomial = tuple[str, ...]  # atoms, sorted, with repetition: n*n is ("n", "n"), a constant is ()

_FUNCTIONS: dict[str, Callable[[int, int], int]] = {"floordiv": lambda a, b: a // b, "max": max, "min": min}


class Dim:
    """A size that is not known while tracing. Immutable; arithmetic gives ints where everything cancels."""

    __slots__ = ("_atoms", "terms")

    def __init__(self, terms: Mapping[Monomial, int], atoms: Mapping[str, tuple[str, DimLike, DimLike]]) -> None:
        self.terms = tuple(sorted(terms.items()))
        used = {a for m, _ in self.terms for a in m}
        self._atoms = {k: v for k, v in atoms.items() if k in used}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.terms)

    def __add__(self, other: DimLike) -> DimLike:
        out = dict(self.terms)
        for m, c in _terms(other):
            out[m] = out.get(m, 0) + c
        return _make(out, self._atoms | _atoms(other))

    __radd__ = __add__

    def __mul__(self, other: DimLike) -> DimLike:
        out: dict[Monomial, int] = {}
        for m, c in self.terms:
            for m2, c2 in _terms(other):
                k = tuple(sorted(m + m2))
                out[k] = out.get(k, 0) + c * c2
        return _make(out, self._atoms | _atoms(other))

    __rmul__ = __mul__

    def __neg__(self) -> DimLike:
        return self * -1

    def __sub__(self, other: DimLike) -> DimLike:
        return self + -1 * other

    def __rsub__(self, other: DimLike) -> DimLike:
        return -1 * self + other

    def __floordiv__(self, other: DimLike) -> DimLike:
        return floordiv(self, other)

    def __rfloordiv__(self, other: DimLike) -> DimLike:
        return floordiv(other, self)

    @property
    def symbols(self) -> frozenset[str]:
        """The names of the sizes that this one depends on."""
        out: set[str] = set()
        for m, _ in self.terms:
            for a in m:
                f = self._atoms.get(a)
                out |= {a} if f is None else symbols_of(f[1]) | symbols_of(f[2])
        return frozenset(out)

    def substitute(self, sizes: Mapping[str, DimLike]) -> DimLike:
        """This size with the named ones replaced; names that are not given stay."""
        total: DimLike = 0
        for m, c in self.terms:
            term: DimLike = c
            for a in m:
                f = self._atoms.get(a)
                if f is None:
                    term = term * sizes.get(a, symbol(a))
                else:
                    term = term * _apply(f[0], substitute(f[1], sizes), substitute(f[2], sizes))
            total = total + term
        return total

    def __str__(self) -> str:
        parts = []
        for m, c in reversed(self.terms):
            body = "*".join(m)
            text = str(abs(c)) if not m else body if abs(c) == 1 else f"{abs(c)}*{body}"
            parts.append((" - " if c < 0 else " + ") + text)
        s = "".join(parts)
        return s[3:] if s.startswith(" + ") else "-" + s[3:]

    __repr__ = __str__


def symbol(name: str) -> Dim:
    """The size called `name`."""
    return Dim({(name,): 1}, {})


def is_static(d: DimLike) -> bool:
    """Whether the size is a known int."""
    return isinstance(d, int)


def symbols_of(d: DimLike) -> frozenset[str]:
    """The names that a size depends on; none for an int."""
    return d.symbols if isinstance(d, Dim) else frozenset()


def substitute(d: DimLike, sizes: Mapping[str, DimLike]) -> DimLike:
    """`d` with the named sizes replaced."""
    return d.substitute(sizes) if isinstance(d, Dim) else d


def product(dims: tuple[DimLike, ...]) -> DimLike:
    """The number of elements of a shape."""
    total: DimLike = 1
    for d in dims:
        total = total * d
    return total


def floordiv(a: DimLike, b: DimLike) -> DimLike:
    """The quotient rounded down; exact polynomial division is carried out, the rest becomes an atom."""
    if isinstance(a, int) and a == 0 and isinstance(b, Dim):
        return 0
    if isinstance(a, Dim) and isinstance(b, int) and b != 0 and all(c % b == 0 for _, c in a.terms):
        return _make({m: c // b for m, c in a.terms}, a._atoms)
    if isinstance(a, Dim) and isinstance(b, Dim) and len(b.terms) == 1:
        (mb, cb) = b.terms[0]
        out: dict[Monomial, int] = {}
        for m, c in a.terms:
            rest = list(m)
            if c % cb or any(rest.count(x) < mb.count(x) for x in mb):
                break
            for x in mb:
                rest.remove(x)
            out[tuple(rest)] = c // cb
        else:
            return _make(out, a._atoms)
    return _apply("floordiv", a, b)


def ceildiv(a: DimLike, b: DimLike) -> DimLike:
    """The quotient rounded up."""
    return -1 * floordiv(-1 * a, b)


def maximum(a: DimLike, b: DimLike) -> DimLike:
    """The larger size."""
    return _apply("max", a, b)


def minimum(a: DimLike, b: DimLike) -> DimLike:
    """The smaller size."""
    return _apply("min", a, b)


def _apply(fn: str, a: DimLike, b: DimLike) -> DimLike:
    if isinstance(a, int) and isinstance(b, int):
        if fn == "floordiv" and b == 0:
            raise ZeroDivisionError("a dimension was divided by zero")
        return _FUNCTIONS[fn](a, b)
    a, b = (d if isinstance(d, Dim) else index(d) for d in (a, b))
    if fn != "floordiv" and a == b:
        return a
    name = f"{fn}({a}, {b})"
    return Dim({(name,): 1}, {name: (fn, a, b)})


def _terms(d: DimLike) -> tuple[tuple[Monomial, int], ...]:
    return d.terms if isinstance(d, Dim) else (((), index(d)),)


def _atoms(d: DimLike) -> dict[str, tuple[str, DimLike, DimLike]]:
    return d._atoms if isinstance(d, Dim) else {}


def _make(terms: dict[Monomial, int], atoms: Mapping[str, tuple[str, DimLike, DimLike]]) -> DimLike:
    terms = {m: c for m, c in terms.items() if c}
    if not terms:
        return 0
    if set(terms) == {()}:
        return terms[()]
    return Dim(terms, atoms)


# ---------------------------------------------------------------- text
Tokens = list[tuple[Union[str, None], Union[str, None], Union[str, None]]]
_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_?][\w?]*)|(.))")


def parse_dim(text: str) -> DimLike:
    """The size that `str` printed.

    Raises:
      ValueError: for text that is no size.
    """
    tokens: Tokens = [(m[1], m[2], m[3]) for m in _TOKEN.finditer(text.strip())]
    tokens.append((None, None, ""))
    value, at = _sum(tokens, 0)
    if tokens[at][2] != "":
        raise ValueError(f"not a dimension: {text!r}")
    return value


def _sum(t: Tokens, i: int) -> tuple[DimLike, int]:
    sign = 1
    if t[i][2] == "-":
        sign, i = -1, i + 1
    left, i = _product(t, i)
    left = left * sign
    while t[i][2] in ("+", "-"):
        op = t[i][2]
        right, i = _product(t, i + 1)
        left = left + right if op == "+" else left - right
    return left, i


def _product(t: Tokens, i: int) -> tuple[DimLike, int]:
    left, i = _atom(t, i)
    while t[i][2] == "*":
        right, i = _atom(t, i + 1)
        left = left * right
    return left, i


def _atom(t: Tokens, i: int) -> tuple[DimLike, int]:
    number, name, other = t[i]
    if number:
        return int(number), i + 1
    if name in _FUNCTIONS and t[i + 1][2] == "(":
        a, i = _sum(t, i + 2)
        b, i = _sum(t, _expect(t, i, ","))
        return _apply(name, a, b) if name != "floordiv" else floordiv(a, b), _expect(t, i, ")")
    if name:
        return symbol(name), i + 1
    if other == "(":
        v, i = _sum(t, i + 1)
        return v, _expect(t, i, ")")
    raise ValueError("not a dimension")


def _expect(t: Tokens, i: int, what: str) -> int:
    if t[i][2] != what:
        raise ValueError("not a dimension")
    return i + 1
