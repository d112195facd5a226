"""`pb.einsum`: sums of products over named dimensions, as transposes, reshapes and batched matrix products.

Operands are taken two at a time from the left. Names that only one of the two has, and that nothing later needs, are
summed first; what both have and the result keeps is a batch; what both have and is summed is the inner dimension.
"""

from __future__ import annotations

import string
from typing import Any

from .elementwise import operands
from .errors import ShapeMismatch, fail
from .ops_linalg import diag_part, matmul
from .ops_reduce import reduce_sum
from .ops_shape import reshape, transpose
from .tensor import Tensor


def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """The sum of products that the equation names, such as 'bij,bjk->bik'; `...` stands for broadcast dimensions.

    Raises:
      ValueError: an equation that does not fit the operands. InvalidArgumentError: sizes of one name that differ.
    """
    ts = operands("einsum", *(inputs[0] if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else inputs))
    terms, out = _parse(equation.replace(" ", ""), ts)
    pairs = [_without_repeats(names, t) for names, t in zip(terms, ts, strict=True)]
    _check_sizes(pairs)
    names, t = pairs[0]
    for i, (other, u) in enumerate(pairs[1:], 1):
        needed = set(out).union(*(n for n, _ in pairs[i + 1 :]))
        names, t = _contract(names, t, other, u, needed)
    t = _sum_away(names, t, set(out))[1]
    left = [n for n in names if n in out]
    return transpose(t, [left.index(n) for n in out]) if left != list(out) else t


def _parse(equation: str, ts: list[Tensor]) -> tuple[list[str], str]:
    left, arrow, out = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(ts):
        fail(ValueError, f"einsum: the equation {equation!r} names {len(terms)} operands, but there are {len(ts)}")
    free = [c for c in string.ascii_uppercase + string.ascii_lowercase if c not in equation]
    widths = [t.ndim - len(term.replace("...", "")) for term, t in zip(terms, ts, strict=True)]
    for term, width, t in zip(terms, widths, ts, strict=True):
        if width < 0 or (width > 0 and "..." not in term):
            fail(ValueError, f"einsum: {term!r} does not name the {t.ndim} dimensions of an operand of shape {t.shape}")
    most = max((w for term, w in zip(terms, widths, strict=True) if "..." in term), default=0)
    dots = "".join(free[:most])
    full = [term.replace("...", dots[most - w :]) for term, w in zip(terms, widths, strict=True)]
    if not arrow:
        every = "".join(full)
        out = ("..." if most else "") + "".join(sorted(c for c in set(every) if every.count(c) == 1 and c not in dots))
    out = out.replace("...", dots)
    unknown = [c for c in out if c not in "".join(full)]
    if unknown or len(set(out)) != len(out):
        fail(ValueError, f"einsum: the result {out!r} of {equation!r} repeats a name or has one that no operand has")
    return full, out


def _without_repeats(names: str, t: Tensor) -> tuple[str, Tensor]:
    """A name twice in one operand takes the diagonal."""
    for n in sorted(set(names)):
        while names.count(n) > 1:
            i, j = names.index(n), names.rindex(n)
            rest = [k for k in range(len(names)) if k not in (i, j)]
            t = diag_part(transpose(t, [*rest, i, j]))
            names = "".join(names[k] for k in rest) + n
    return names, t


def _check_sizes(pairs: list[tuple[str, Tensor]]) -> None:
    sizes: dict[str, Any] = {}
    for names, t in pairs:
        for n, d in zip(names, t.type.shape, strict=True):
            if sizes.setdefault(n, d) != d:
                fail(ShapeMismatch, f"einsum: dimension {n!r} has the sizes {sizes[n]} and {d}: they must be equal")


def _sum_away(names: str, t: Tensor, keep: set[str]) -> tuple[str, Tensor]:
    axes = [k for k, n in enumerate(names) if n not in keep]
    return ("".join(n for n in names if n in keep), reduce_sum(t, axes)) if axes else (names, t)


def _contract(a: str, t: Tensor, b: str, u: Tensor, needed: set[str]) -> tuple[str, Tensor]:
    """The product of two operands, summed over what nothing else needs."""
    a, t = _sum_away(a, t, needed | set(b))
    b, u = _sum_away(b, u, needed | set(a))
    batch = [n for n in a if n in b and n in needed]
    inner = [n for n in a if n in b and n not in needed]
    rows, columns = [n for n in a if n not in b], [n for n in b if n not in a]
    sizes = dict(zip(a + b, (*t.type.shape, *u.type.shape), strict=True))

    def size(names: list[str]) -> Any:
        total: Any = 1
        for n in names:
            total = total * sizes[n]
        return total

    lead = [sizes[n] for n in batch]
    x = reshape(transpose(t, [a.index(n) for n in batch + rows + inner]), [*lead, size(rows), size(inner)])
    y = reshape(transpose(u, [b.index(n) for n in batch + inner + columns]), [*lead, size(inner), size(columns)])
    names = batch + rows + columns
    return "".join(names), reshape(matmul(x, y), [sizes[n] for n in names])
