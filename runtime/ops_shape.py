"""Public ops that rearrange: reshape, transpose, stack, split, pad, tile and their relatives.

Axes may be negative. Arguments that give a shape, an axis or a number may be tensors whose value is known; sizes of a
trace may be symbols, which stay symbols.
"""

from __future__ import annotations

from typing import Any

from ..ir.dims import Dim, DimLike, floordiv, product
from ..ir.dtypes import int32
from ..ir.opdef import get
from ..ir.sizes import is_named
from .arithmetic import as_new
from .convert import as_tensor, length_value, static_value
from .dispatch import apply
from .elementwise import operands
from .errors import InvalidArgumentError, ShapeMismatch, fail
from .tensor import Tensor
from .tensor_shape import TensorShape

_RESHAPE, _TRANSPOSE, _BROADCAST, _CONCAT = get("reshape"), get("transpose"), get("broadcast_to"), get("concat")
_SLICE, _PAD, _REVERSE, _TILE = get("slice"), get("pad"), get("reverse"), get("tile")


def shape_argument(shape: Any, what: str = "shape") -> tuple[Any, ...]:
    """A shape argument as a tuple of sizes (ints, -1, or symbols of a trace)."""
    if isinstance(shape, TensorShape):
        shape = shape.as_list()
    value = length_value(shape, f"The argument `{what}`")
    if not isinstance(value, (list, tuple)):
        value = [value] if not hasattr(value, "__iter__") else list(value)
    return tuple(_size(d, what) for d in value)


def _size(d: Any, what: str) -> Any:
    if type(d) is int or isinstance(d, Dim) or is_named(d):
        return d
    if d is None:
        fail(ValueError, f"{what}: a size is None (unknown): use pb.shape(t) for sizes that are not known, or -1")
    if isinstance(d, (float, complex, str, bytes)) or not hasattr(d, "__index__"):
        fail(TypeError, f"{what}: sizes must be integers, got {d!r} of type {type(d).__name__}")
    return int(d.__index__())


def axis_argument(axis: Any, rank: int, what: str = "axis") -> int:
    """An axis as a number from 0 to rank - 1. Raises InvalidArgumentError (also a ValueError) outside of that."""
    k = static_value(axis, f"The argument `{what}`")
    if isinstance(k, (list, tuple)) and len(k) == 1:
        k = k[0]
    k = _size(k, what)
    if not -rank <= k < rank:
        fail(
            ShapeMismatch,
            f"{what} {k} is out of range: a tensor with {rank} dimensions has {what} in [{-rank}, {rank})",
        )
    return int(k % rank)


def known_sizes(t: Tensor, what: str) -> tuple[int, ...]:
    """The shape as ints. Raises TypeError for a size that is not known while a function is traced."""
    dims = tuple(d for d in t.type.shape if isinstance(d, int))
    if len(dims) != t.ndim:
        fail(
            TypeError, f"{what}: the shape {t.shape} must be known while a function is traced: give an input_signature"
        )
    return dims


def reshape(tensor: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same elements, in row-major order, in another shape; one size may be -1.

    Raises:
      InvalidArgumentError (also a ValueError): the number of elements differs.
    """
    t = as_tensor(tensor)
    dims = shape_argument(shape)
    if any(isinstance(d, int) and d < -1 for d in dims):
        fail(ShapeMismatch, f"reshape: sizes must be >= 0, or -1 for one of them, got {list(dims)}")
    if -1 in dims:
        dims = _infer_size(t, dims)
    return apply(_RESHAPE, (t,), {"shape": dims})  # type: ignore[no-any-return]


def _infer_size(t: Tensor, dims: tuple[Any, ...]) -> tuple[Any, ...]:
    have = t.type.shape
    if dims.count(-1) > 1:
        fail(ShapeMismatch, f"reshape: only one size may be -1, got {list(dims)}")
    rest: Any = product(tuple(d for d in dims if d != -1))
    total = product(have)
    if isinstance(rest, int) and isinstance(total, int) and (rest == 0 or total % rest):
        fail(
            ShapeMismatch,
            f"reshape: a tensor of shape {t.shape} ({total} elements) cannot have the shape {list(dims)}: "
            f"{total} is no multiple of {rest}",
        )
    return tuple(floordiv(total, rest) if d == -1 else d for d in dims)


def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str = "transpose") -> Tensor:
    """The dimensions in the order `perm`, reversed by default."""
    t = as_tensor(a)
    order = tuple(range(t.ndim))[::-1] if perm is None else shape_argument(perm, "perm")
    if len(order) != t.ndim:
        fail(ShapeMismatch, f"transpose: perm {list(order)} must hold each of the {t.ndim} dimensions once")
    y = apply(_TRANSPOSE, (t,), {"perm": tuple(k % t.ndim if t.ndim else k for k in order)})
    if conjugate:
        from .ops_complex import conj

        return conj(y)
    return y  # type: ignore[no-any-return]


def matrix_transpose(a: Any, name: str = "matrix_transpose", conjugate: bool = False) -> Tensor:
    """The last two dimensions exchanged."""
    t = as_tensor(a)
    if t.ndim < 2:
        fail(ShapeMismatch, f"matrix_transpose: a matrix needs at least 2 dimensions, got shape {t.shape}")
    return transpose(t, (*range(t.ndim - 2), t.ndim - 1, t.ndim - 2), conjugate)


def expand_dims(input: Any, axis: Any, name: str | None = None) -> Tensor:
    """A new dimension of size 1 at `axis`."""
    t = as_tensor(input)
    k = axis_argument(axis, t.ndim + 1)
    dims = t.type.shape
    return apply(_RESHAPE, (t,), {"shape": (*dims[:k], 1, *dims[k:])})  # type: ignore[no-any-return]


def squeeze(input: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """Without the dimensions of size 1, or only those at `axis`."""
    t = as_tensor(input)
    dims = t.type.shape
    if axis is None or axis == []:
        drop = {k for k, d in enumerate(dims) if d == 1}
    else:
        ks = static_value(axis, "The argument `axis`")
        drop = {axis_argument(k, t.ndim) for k in (ks if isinstance(ks, (list, tuple)) else [ks])}
        for k in drop:
            if dims[k] != 1:
                fail(ShapeMismatch, f"Can not squeeze dim[{k}], expected a dimension of 1, got {dims[k]}")
    return apply(_RESHAPE, (t,), {"shape": tuple(d for k, d in enumerate(dims) if k not in drop)})  # type: ignore[no-any-return]


def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """Repeated to a shape by NumPy's rule; -1 keeps a size."""
    t = as_tensor(input)
    want = shape_argument(shape)
    if -1 in want:
        lead = len(want) - t.ndim
        want = tuple(t.type.shape[i - lead] if d == -1 and i >= lead else d for i, d in enumerate(want))
    if want == t.type.shape:
        return t
    return apply(_BROADCAST, (t,), {"shape": want})  # type: ignore[no-any-return]


def tile(input: Any, multiples: Any, name: str | None = None) -> Tensor:
    """Repeated as a whole, multiples[k] times along dimension k."""
    t = as_tensor(input)
    return apply(_TILE, (t,), {"multiples": shape_argument(multiples, "multiples")})  # type: ignore[no-any-return]


def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """The tensors one after another along an axis. Raises InvalidArgumentError for sizes that differ elsewhere."""
    if hasattr(values, "joined"):
        return values.joined(axis)  # type: ignore[no-any-return]
    ts = operands("concat", *(values if isinstance(values, (list, tuple)) else [values]))
    if not ts:
        fail(ShapeMismatch, "concat: found no tensors; give at least one")
    if len(ts) == 1:
        axis_argument(axis, max(ts[0].ndim, 1))
        return apply(get("identity"), (ts[0],), {})  # type: ignore[no-any-return]
    if not ts[0].ndim:
        fail(ShapeMismatch, "concat: scalars have no axis to join along: use pb.stack")
    return apply(_CONCAT, ts, {"axis": axis_argument(axis, ts[0].ndim)})  # type: ignore[no-any-return]


def stack(values: Any, axis: Any = 0, name: str = "stack") -> Tensor:
    """Tensors of one shape along a new axis."""
    if hasattr(values, "stacked"):
        return values.stacked(axis)  # type: ignore[no-any-return]
    items = list(values) if isinstance(values, (list, tuple)) else list(as_tensor(values))
    if not items:
        return as_tensor(values)
    ts = operands("stack", *items)
    dims = ts[0].type.shape
    for t in ts[1:]:
        if t.type.shape != dims:
            fail(
                ShapeMismatch,
                f"stack: shapes of all inputs must match: {ts[0].shape} and {t.shape} differ; bring them to "
                "one shape with pb.broadcast_to or pb.pad",
            )
    k = axis_argument(axis, len(dims) + 1)
    rows = [apply(_RESHAPE, (t,), {"shape": (*dims[:k], 1, *dims[k:])}) for t in ts]
    return apply(_CONCAT, rows, {"axis": k})  # type: ignore[no-any-return]


parallel_stack = stack


def part(t: Tensor, axis: int, start: DimLike, size: DimLike) -> Tensor:
    """`size` elements from `start` along an axis."""
    dims = t.type.shape
    starts = tuple(start if k == axis else 0 for k in range(len(dims)))
    sizes = tuple(size if k == axis else d for k, d in enumerate(dims))
    return apply(_SLICE, (t,), {"starts": starts, "sizes": sizes, "strides": (1,) * len(dims)})  # type: ignore[no-any-return]


def unstack(value: Any, num: int | None = None, axis: Any = 0, name: str = "unstack") -> list[Tensor]:
    """The tensors along an axis, as a list."""
    t = as_tensor(value)
    if not t.ndim:
        fail(ShapeMismatch, "unstack: a scalar has no axis to unpack")
    k = axis_argument(axis, t.ndim)
    dims = t.type.shape
    n = dims[k]
    if not isinstance(n, int):
        fail(ValueError, f"Cannot infer argument `num` from shape {t.shape}: the size of dimension {k} is not known")
    if num is not None and num != n:
        fail(ShapeMismatch, f"unstack: num is {num}, but dimension {k} of shape {t.shape} has size {n}")
    rest = {"shape": (*dims[:k], *dims[k + 1 :])}
    return [apply(_RESHAPE, (part(t, k, i, 1),), rest) for i in range(n)]


def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: int | None = None, name: str = "split"
) -> list[Tensor]:
    """Parts along an axis: so many equal ones, or of the given sizes (one may be -1)."""
    t = as_tensor(value)
    k = axis_argument(axis, t.ndim)
    n = t.type.shape[k]
    sizes: Any = static_value(num_or_size_splits, "The argument `num_or_size_splits`")
    if not isinstance(sizes, (list, tuple)):
        if isinstance(n, int) and (sizes <= 0 or n % sizes):
            fail(ShapeMismatch, f"split: dimension {k} of size {n} does not divide into {sizes} equal parts")
        sizes = [floordiv(n, sizes)] * sizes
    known = [s for s in sizes if s != -1]
    total = sum(known[1:], known[0]) if known else 0
    sizes = [n - total if s == -1 else s for s in sizes]
    if isinstance(n, int) and sum(sizes) != n:
        fail(ShapeMismatch, f"split: the sizes {sizes} add up to {sum(sizes)}, but dimension {k} has size {n}")
    out = []
    start: DimLike = 0
    for size in sizes:
        out.append(part(t, k, start, size))
        start = start + size
    return out


def slice(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """`size[k]` elements from `begin[k]` along each dimension; -1 takes the rest."""
    t = as_tensor(input_)
    starts, sizes = shape_argument(begin, "begin"), shape_argument(size, "size")
    if not len(starts) == len(sizes) == t.ndim:
        fail(ShapeMismatch, f"slice: begin {list(starts)} and size {list(sizes)} need {t.ndim} entries each")
    full = tuple(d - b if s == -1 else s for b, s, d in zip(starts, sizes, t.type.shape, strict=True))
    return apply(_SLICE, (t,), {"starts": starts, "sizes": full, "strides": (1,) * t.ndim})  # type: ignore[no-any-return]


def strided_slice(
    input_: Any, begin: Any, end: Any, strides: Any = None, begin_mask: int = 0, end_mask: int = 0,
    ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0, var: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """`t[b0:e0:s0, ...]`, with TensorFlow's masks."""
    lows, highs = shape_argument(begin, "begin"), shape_argument(end, "end")
    steps = shape_argument(strides, "strides") if strides is not None else (1,) * len(lows)
    key: list[Any] = []
    for i, (low, high, step) in enumerate(zip(lows, highs, steps, strict=True)):
        bit = 1 << i
        if ellipsis_mask & bit:
            key.append(Ellipsis)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            key.append(low)
        else:
            key.append(_builtin_slice(None if begin_mask & bit else low, None if end_mask & bit else high, step))
    return as_tensor(input_)[tuple(key)]


_builtin_slice = __builtins__["slice"] if isinstance(__builtins__, dict) else __builtins__.slice


def reverse(tensor: Any, axis: Any, name: str | None = None) -> Tensor:
    """The opposite order along the axes."""
    t = as_tensor(tensor)
    axes = static_value(axis, "The argument `axis`")
    ks = sorted(axis_argument(k, t.ndim) for k in (axes if isinstance(axes, (list, tuple)) else [axes]))
    if len(set(ks)) < len(ks):
        fail(ShapeMismatch, f"reverse: an axis is specified more than once in {axes}")
    return apply(_REVERSE, (t,), {"axes": tuple(ks)})  # type: ignore[no-any-return]


@as_new
def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: str | None = None
) -> Tensor:
    """Elements added before and after along each dimension: a constant, or a reflection of the tensor itself.

    Args:
      paddings: [rank, 2] numbers. mode: CONSTANT, REFLECT (without the edge) or SYMMETRIC (with it), in any case.

    Raises:
      InvalidArgumentError: paddings of another shape, or too large for a reflection. ValueError: an unknown mode.
    """
    t = as_tensor(tensor)
    rows = static_value(paddings, "The argument `paddings`")
    if len(rows) != t.ndim or any(len(r) != 2 for r in rows):
        fail(
            ShapeMismatch,
            f"pad: paddings must have the shape [{t.ndim}, 2] for a tensor of shape {t.shape}, got {rows}",
        )
    low = tuple(_size(r[0], "paddings") for r in rows)
    high = tuple(_size(r[1], "paddings") for r in rows)
    if any(isinstance(p, int) and p < 0 for p in (*low, *high)):
        fail(ShapeMismatch, f"pad: paddings must not be negative, got {rows}: use slicing to cut")
    kind = mode.upper()
    if kind == "CONSTANT":
        value = as_tensor(constant_values, t.dtype)
        return apply(_PAD, (t, value), {"low": low, "high": high})  # type: ignore[no-any-return]
    if kind not in ("REFLECT", "SYMMETRIC"):
        fail(
            ValueError,
            f"Value of argument `mode` expected to be one of 'CONSTANT', 'REFLECT', or 'SYMMETRIC', got {mode!r}",
        )
    for k in range(t.ndim):
        t = _mirror(t, k, low[k], high[k], int(kind == "REFLECT"))
    return t


def _mirror(t: Tensor, k: int, low: Any, high: Any, skip: int) -> Tensor:
    n = t.type.shape[k]
    if isinstance(n, int) and max(low, high) > n - skip:
        fail(
            InvalidArgumentError,
            f"pad: paddings {low} and {high} are too large for dimension {k} of size {n}: at most "
            f"{n - skip} elements can be reflected",
        )
    parts = [t]
    if low:
        parts.insert(0, apply(_REVERSE, (part(t, k, skip, low),), {"axes": (k,)}))
    if high:
        parts.append(apply(_REVERSE, (part(t, k, n - high - skip, high),), {"axes": (k,)}))
    return apply(_CONCAT, parts, {"axis": k}) if len(parts) > 1 else t


@as_new
def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """Shifted along axes; what leaves at one end enters at the other."""
    t = as_tensor(input)
    shifts, axes = static_value(shift, "The argument `shift`"), static_value(axis, "The argument `axis`")
    pairs = zip(shifts, axes, strict=True) if isinstance(shifts, (list, tuple)) else [(shifts, axes)]
    for by, k in pairs:
        k = axis_argument(k, t.ndim)
        n: Any = t.type.shape[k]
        cut = by % n if isinstance(n, int) and n else by
        if n != 0 and cut != 0:
            cut = cut if not isinstance(cut, int) or cut > 0 else n + cut
            t = apply(_CONCAT, (part(t, k, n - cut, cut), part(t, k, 0, n - cut)), {"axis": k})
    return t


def repeat(input: Any, repeats: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """Each element `repeats` times, along an axis or flattened; one number, or one per element."""
    from .ops_index import gather

    t = as_tensor(input)
    if axis is None:
        t, axis = reshape(t, (-1,)), 0
    k = axis_argument(axis, t.ndim)
    counts: Any = static_value(repeats, "The argument `repeats`")
    n: Any = t.type.shape[k]
    if isinstance(counts, (list, tuple)) and len(counts) == 1:
        counts = counts[0]
    if not isinstance(counts, int) and len(counts) != n:
        fail(ShapeMismatch, f"repeat: {len(counts)} repeats for an axis of size {n}; give one, or one per element")
    if any(c < 0 for c in ([counts] if isinstance(counts, int) else counts)):
        fail(ShapeMismatch, f"repeat: repeats must be >= 0, got {counts}")
    places = [i for i in range(n) for _ in range(counts if isinstance(counts, int) else counts[i])]
    return gather(t, as_tensor(places, int32), axis=k)


def meshgrid(*args: Any, indexing: str = "xy", name: str = "meshgrid") -> list[Tensor]:
    """Coordinate tensors of a grid from vectors of coordinates; 'xy' exchanges the first two dimensions."""
    if indexing not in ("xy", "ij"):
        fail(ValueError, f"Argument `indexing` parameter must be either 'xy' or 'ij', got '{indexing}'")
    ts = [reshape(a, (-1,)) for a in map(as_tensor, args)]
    n = len(ts)
    order = list(range(n))
    if indexing == "xy" and n > 1:
        order[:2] = [1, 0]
    shape: list[DimLike] = [0] * n
    for i, t in enumerate(ts):
        shape[order[i]] = t.type.shape[0]
    return [broadcast_to(reshape(t, [-1 if order[i] == k else 1 for k in range(n)]), shape) for i, t in enumerate(ts)]
