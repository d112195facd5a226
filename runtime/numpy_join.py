"""NumPy's functions that join arrays and take them apart: concatenate, stack, block, split and their relatives."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .convert import static_value
from .errors import fail
from .numpy_promote import promoted, rule, tensor
from .numpy_protocol import implements
from .numpy_shape import atleast_1d, atleast_2d, atleast_3d
from .ops_shape import axis_argument, concat, known_sizes, part
from .ops_shape import reshape as reshape_op
from .ops_shape import stack as stack_op
from .tensor import Tensor


def _list(arrays: Any) -> list[Any]:
    return list(arrays) if isinstance(arrays, (list, tuple)) else list(tensor(arrays))


def _same_kind(what: str, arrays: Any, dtype: Any) -> list[Tensor]:
    items = _list(arrays)
    if not items:
        fail(ValueError, "need at least one array to concatenate")
    if dtype is not None:
        return [tensor(a, dtype) for a in items]
    return promoted(what, *(items if rule.plain else [a if hasattr(a, "dtype") else tensor(a) for a in items]))


@implements(np.concatenate)
def concatenate(arrays: Any, /, axis: Any = 0, dtype: Any = None, casting: str = "same_kind") -> Tensor:
    """One after another along an axis; flattened for None."""
    ts = _same_kind("np.concatenate", arrays, dtype)
    if axis is None:
        ts, axis = [reshape_op(t, (-1,)) for t in ts], 0
    if not ts[0].ndim:
        fail(ValueError, "zero-dimensional arrays cannot be concatenated")
    return concat(ts, axis)


@implements(np.stack)
def stack(arrays: Any, axis: Any = 0, *, dtype: Any = None, casting: str = "same_kind") -> Tensor:
    """Along a new axis."""
    return stack_op(_same_kind("np.stack", arrays, dtype), axis)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Tensor:
    """Rows one below another."""
    return concatenate([atleast_2d(a) for a in _list(tup)], 0, dtype)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Tensor:
    """Beside each other."""
    ts = [atleast_1d(a) for a in _list(tup)]
    return concatenate(ts, 0 if ts and ts[0].ndim == 1 else 1, dtype)


@implements(np.dstack)
def dstack(tup: Any) -> Tensor:
    """Along the third dimension."""
    return concatenate([atleast_3d(a) for a in _list(tup)], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Tensor:
    """Vectors as columns."""
    ts = [tensor(a) for a in _list(tup)]
    return concatenate([t if t.ndim > 1 else reshape_op(t, (-1, 1)) for t in ts], 1)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Tensor:
    """One behind the other."""
    return concatenate([arr if hasattr(arr, "dtype") else tensor(arr), tensor(values)], axis)


@implements(np.block)
def block(arrays: Any) -> Tensor:
    """A matrix of blocks, given as nested lists."""

    def depth(x: Any) -> int:
        return 1 + max(map(depth, x)) if isinstance(x, list) else 0

    levels = depth(arrays)

    def join(x: Any, level: int) -> Tensor:
        if isinstance(x, list):
            return concatenate([join(v, level + 1) for v in x], level - levels)
        t = tensor(x)
        return t if t.ndim >= levels else reshape_op(t, (*(1,) * (levels - t.ndim), *t.type.shape))

    return join(arrays, 0)


def _cuts(n: Any, sections: Any, equal: bool) -> list[Any]:
    """Where the parts begin and end."""
    where = static_value(sections, "The argument `indices_or_sections`")
    if isinstance(where, (list, tuple)):
        ends = [slice(None, c).indices(n)[1] for c in where]
        return [0, *ends, n]
    if where <= 0:
        fail(ValueError, "number sections must be larger than 0.")
    small, more = divmod(n, where)
    if equal and more:
        fail(ValueError, "array split does not result in an equal division")
    return [k * small + min(k, more) for k in range(where + 1)]


def pieces(name: str, equal: bool, t: Tensor, sections: Any, axis: int) -> list[tuple[int, int]]:
    """Begin and end of each part."""
    cuts = _cuts(known_sizes(t, name)[axis], sections, equal)
    return [(i, max(i, j)) for i, j in pairwise(cuts)]


def _split(name: str, equal: bool) -> Any:
    def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Tensor]:
        t = tensor(ary)
        k = axis_argument(axis, t.ndim)
        return [part(t, k, i, j - i) for i, j in pieces(name, equal, t, indices_or_sections, k)]

    return split


split = implements(np.split)(_split("np.split", True))
array_split = implements(np.array_split)(_split("np.array_split", False))


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts beside each other."""
    t = tensor(ary)
    return split(t, indices_or_sections, 1 if t.ndim > 1 else 0)  # type: ignore[no-any-return]


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Tensor]:
    """Parts one below another."""
    return split(ary, indices_or_sections, 0)  # type: ignore[no-any-return]
