"""NumPy's functions on shapes: reshape, transpose, stack, split, flip, pad and their relatives, as values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..ir.dims import Dim
from ..ir.dtypes import int64
from ..ir.infer import broadcast as joined
from ..ir.types import TensorType
from .arithmetic import cast
from .array import is_array
from .convert import static_value
from .dispatch import call, with_line
from .errors import OpError, fail
from .location import at
from .numpy_promote import tensor
from .numpy_protocol import NumpyNotSupported, implements
from .numpy_ufuncs import op
from .ops_shape import (
    axis_argument,
    broadcast_to,
    known_sizes,
    shape_argument,
)
from .ops_shape import pad as pad_op
from .ops_shape import repeat as repeat_op
from .ops_shape import reshape as reshape_op
from .ops_shape import reverse as reverse_op
from .ops_shape import roll as roll_op
from .ops_shape import tile as tile_op
from .ops_shape import transpose as transpose_op
from .tensor import Tensor


# ---------------------------------------------------------------- one array in another shape
@implements(np.reshape)
def reshape(a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Tensor:
    """The same elements in another shape; order 'F' counts the first dimension fastest."""
    t = tensor(a)
    dims = shape_argument(newshape if shape is None else shape)
    if order == "F" and t.ndim + len(dims) > 1:
        return transpose_op(reshape_op(transpose_op(t), dims[::-1]))
    return reshape_op(t, dims)


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Tensor:
    """All elements in a row."""
    return reshape(a, (-1,), order)


@implements(np.transpose, np.permute_dims)
def transpose(a: Any, axes: Any = None) -> Tensor:
    """The dimensions in another order, reversed by default."""
    return transpose_op(tensor(a), axes)


@implements(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any) -> Tensor:
    """The last two dimensions exchanged."""
    return swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: Any, axis2: Any) -> Tensor:
    """Two dimensions exchanged."""
    t = tensor(a)
    order = list(range(t.ndim))
    i, j = axis_argument(axis1, t.ndim, "axis1"), axis_argument(axis2, t.ndim, "axis2")
    order[i], order[j] = j, i
    return transpose_op(t, order)


def axis_numbers(axis: Any, rank: int, what: str = "axis") -> list[int]:
    """An axis or several, counted from the start."""
    found = static_value(axis, f"The argument `{what}`")
    return [axis_argument(k, rank, what) for k in (found if isinstance(found, (list, tuple)) else [found])]


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to other places; the others keep their order."""
    t = tensor(a)
    return transpose_op(t, moved(t.ndim, source, destination))


def moved(rank: int, source: Any, destination: Any) -> list[int]:
    """The order of dimensions that `moveaxis` gives."""
    start, end = axis_numbers(source, rank, "source"), axis_numbers(destination, rank, "destination")
    if len(start) != len(end):
        fail(ValueError, "`source` and `destination` arguments must have the same number of elements")
    order = [k for k in range(rank) if k not in start]
    for to, k in sorted(zip(end, start, strict=True)):
        order.insert(to, k)
    return order


@implements(np.rollaxis)
def rollaxis(a: Any, axis: Any, start: Any = 0) -> Tensor:
    """A dimension moved before another."""
    t = tensor(a)
    return transpose(t, rolled(t.ndim, axis, start))


def rolled(rank: int, axis: Any, start: int) -> list[int]:
    """The order of dimensions that `rollaxis` gives."""
    k = axis_argument(axis, rank)
    to = start + rank if start < 0 else start
    return moved(rank, k, to - 1 if k < to else to)


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Tensor:
    """New dimensions of size 1."""
    t = tensor(a)
    return reshape_op(t, expanded(t, axis))


def expanded(t: Any, axis: Any) -> list[Any]:
    """The sizes that `expand_dims` gives."""
    axes = static_value(axis, "The argument `axis`")
    axes = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    new = set(axis_numbers(axes, t.ndim + len(axes)))
    old = iter(t.type.shape)
    return [1 if k in new else next(old) for k in range(t.ndim + len(axes))]


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Tensor:
    """Without dimensions of size 1."""
    t = tensor(a)
    return reshape_op(t, squeezed(t, axis))


def squeezed(t: Any, axis: Any) -> list[Any]:
    """The sizes that `squeeze` gives."""
    dims = t.type.shape
    drop = {k for k, d in enumerate(dims) if d == 1} if axis is None else set(axis_numbers(axis, t.ndim))
    if any(dims[k] != 1 for k in drop):
        fail(ValueError, "cannot select an axis to squeeze out which has size not equal to one")
    return [d for k, d in enumerate(dims) if k not in drop]


def _at_least(rank: int, place: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Any:
    def at_rank(t: Any) -> Any:
        if is_array(t):
            return t[...] if t.ndim >= rank else t.reshape(place(t.type.shape))
        return t if t.ndim >= rank else reshape_op(t, place(t.type.shape))

    def at_least(*arys: Any) -> Any:
        out = [at_rank(a if is_array(a) else tensor(a)) for a in arys]
        return out[0] if len(out) == 1 else tuple(out)

    return at_least


atleast_1d = implements(np.atleast_1d)(_at_least(1, lambda s: (1,)))
atleast_2d = implements(np.atleast_2d)(_at_least(2, lambda s: (1,) * (2 - len(s)) + s))
atleast_3d = implements(np.atleast_3d)(
    _at_least(3, lambda s: (1, 1, 1) if not s else (1, *s, 1) if len(s) == 1 else (*s, 1))
)


@implements(np.broadcast_to)
def broadcast(array: Any, shape: Any, subok: bool = False) -> Tensor:
    """Repeated to a shape."""
    return broadcast_to(tensor(array), shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Tensor, ...]:
    """All in the shape that they broadcast to."""
    ts = [tensor(a) for a in args]
    shape = common_shape(*(t.type.shape for t in ts))
    return tuple(broadcast_to(t, shape) for t in ts)


def common_shape(*shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """The shape that shapes broadcast to."""
    try:
        return joined("broadcast", [TensorType(int64, s) for s in shapes])
    except OpError as e:
        raise with_line(e) from None


# ---------------------------------------------------------------- turned round, moved, repeated
@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Tensor:
    """The opposite order along axes."""
    t = tensor(m)
    return reverse_op(t, list(range(t.ndim)) if axis is None else axis_numbers(axis, t.ndim))


@implements(np.fliplr)
def fliplr(m: Any) -> Tensor:
    """Columns in the opposite order."""
    return flip(m, 1)


@implements(np.flipud)
def flipud(m: Any) -> Tensor:
    """Rows in the opposite order."""
    return flip(m, 0)


@implements(np.rot90)
def rot90(m: Any, k: Any = 1, axes: Any = (0, 1)) -> Tensor:
    """Turned by k quarters in a plane."""
    t = tensor(m)
    i, j = axis_numbers(axes, t.ndim, "axes")
    turns = static_value(k, "The argument `k`") % 4
    if turns == 0:
        return t
    if turns == 2:
        return flip(flip(t, i), j)
    return swapaxes(flip(t, j), i, j) if turns == 1 else flip(swapaxes(t, i, j), j)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Tensor:
    """Shifted; what leaves at one end enters at the other."""
    t = tensor(a)
    if axis is None:
        return reshape_op(roll_op(reshape_op(t, (-1,)), shift, 0), t.type.shape)
    shifts, axes = static_value(shift, "The argument `shift`"), axis_numbers(axis, t.ndim)
    if not isinstance(shifts, (list, tuple)):
        shifts = [shifts] * len(axes)
    return roll_op(t, list(shifts), axes * len(shifts) if len(axes) == 1 else axes)


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Tensor:
    """Each element several times."""
    t = tensor(a)
    if axis is None:
        t, axis = reshape_op(t, (-1,)), 0
    k, times = axis_argument(axis, t.ndim), static_value(repeats, "The argument `repeats`")
    if isinstance(times, (list, tuple)):
        return repeat_op(t, times, k)
    dims = t.type.shape
    wide = broadcast_to(reshape_op(t, (*dims[: k + 1], 1, *dims[k + 1 :])), (*dims[: k + 1], times, *dims[k + 1 :]))
    return reshape_op(wide, (*dims[:k], dims[k] * times, *dims[k + 1 :]))


@implements(np.tile)
def tile(A: Any, reps: Any) -> Tensor:
    """Repeated as a whole."""
    t, times = tensor(A), shape_argument(reps, "reps")
    rank = max(t.ndim, len(times))
    wide = reshape_op(t, (*(1,) * (rank - t.ndim), *t.type.shape))
    return tile_op(wide, (*(1,) * (rank - len(times)), *times))


_MODES = {"reflect": "REFLECT", "symmetric": "SYMMETRIC"}


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Tensor:
    """Elements added at the ends: a constant, the edge, the other end (wrap), or a reflection."""
    t = tensor(array)
    rows = np.broadcast_to(np.asarray(static_value(pad_width, "The argument `pad_width`")), (t.ndim, 2)).tolist()
    if mode == "constant":
        value = kwargs.pop("constant_values", 0)
        if np.ndim(value):
            raise NumpyNotSupported(f"np.pad: constant_values must be one number here, got {value!r}{at()}")
        if not kwargs:
            return pad_op(t, rows, "CONSTANT", tensor(value, t.dtype))
    if kwargs:
        _no_pad(mode, kwargs)
    if mode in _MODES:
        return pad_op(t, rows, _MODES[mode])
    if mode not in ("edge", "wrap"):
        _no_pad(mode, kwargs)
    for k, (low, high) in enumerate(rows):
        n = known_sizes(t, "np.pad")[k]
        places = np.arange(-low, n + high)
        t = take(t, np.clip(places, 0, n - 1) if mode == "edge" else places % n, k)
    return t


def _no_pad(mode: Any, kwargs: Any) -> NoReturn:
    raise NumpyNotSupported(f"np.pad(mode={mode!r}{', ' if kwargs else ''}{', '.join(kwargs)}) is not available{at()}")


# ---------------------------------------------------------------- elements by number
def places_in(indices: Any, size: Any, mode: str = "raise") -> Tensor:
    """Indices as int64, counted from the start."""
    i = tensor(indices)
    if not i.dtype.is_integer and i.type.size != 0:
        fail(IndexError, f"indices must be integers, got {i.dtype.name}")
    i = cast(i, int64)
    n = tensor(size, np.int64) if not isinstance(size, Dim) else cast(tensor(size), int64)
    if mode == "wrap":
        return op("mod", i, n)  # type: ignore[no-any-return]
    if mode == "clip":
        return op("maximum", op("minimum", i, op("sub", n, tensor(1))), tensor(0))  # type: ignore[no-any-return]
    return op("where", op("lt", i, tensor(0)), op("add", i, n), i)  # type: ignore[no-any-return]


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, mode: str = "raise") -> Tensor:
    """Elements by their numbers along an axis."""
    t = tensor(a)
    if axis is None:
        t, axis = reshape_op(t, (-1,)), 0
    k = axis_argument(axis, t.ndim)
    return call("gather", t, places_in(indices, t.type.shape[k], mode), axis=k, batch_dims=0)  # type: ignore[no-any-return]


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Tensor:
    """Elements by numbers that differ from row to row, as argsort gives them."""
    t, i = tensor(arr), tensor(indices)
    if axis is None:
        t, axis = reshape_op(t, (-1,)), 0
    k = axis_argument(axis, t.ndim)
    i = places_in(i, t.type.shape[k])
    lead = common_shape(*((*x.type.shape[:k], 1, *x.type.shape[k + 1 :]) for x in (t, i)))
    t = broadcast_to(t, (*lead[:k], t.type.shape[k], *lead[k + 1 :]))
    i = broadcast_to(i, (*lead[:k], i.type.shape[k], *lead[k + 1 :]))
    last = t.ndim - 1
    y = call("gather", moveaxis(t, k, last), moveaxis(i, k, last), axis=last, batch_dims=last)
    return moveaxis(y, last, k)
