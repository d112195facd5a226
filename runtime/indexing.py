"""`t[key]`: Python's basic indexing as one `slice` op and one `reshape`.

A key becomes a slot: per dimension a start, a number of elements and a step, as the ops `slice`, `add_at` and
`update` take them; integers then drop their dimension and `newaxis` adds one. An integer tensor whose value is not
known while tracing is a start that the compiled code computes; as the bound of a slice it makes the size a symbol whose
value the compiled code computes (see `tracer/ragged.py`). A bool tensor selects as `boolean_mask`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ir.dims import Dim, DimLike, floordiv
from ..ir.dtypes import int64
from ..ir.opdef import get
from ..ir.sizes import is_named
from .context import context, slow_mode
from .convert import as_tensor, is_tensor
from .dispatch import apply
from .errors import IndexMismatch, fail
from .tensor import Tensor, wrap
from .weak import Weak

newaxis = None
_PLAIN = frozenset((int, slice, type(None), type(Ellipsis)))
_SLICE, _RESHAPE, _UPDATE, _IDENTITY = get("slice"), get("reshape"), get("update"), get("identity")


@dataclass
class Slot:
    """The part of a tensor that a key names, and the shape that Python sees.

    Attributes:
      starts, sizes, strides: per dimension of the tensor; a start of None is the next of `dynamic`.
      shape: without the dimensions of integers, with those of `newaxis`. axes: the dimension of each, or None.
    """

    starts: list[DimLike | None] = field(default_factory=list)
    sizes: list[DimLike] = field(default_factory=list)
    strides: list[int] = field(default_factory=list)
    dynamic: list[Tensor] = field(default_factory=list)
    shape: list[DimLike] = field(default_factory=list)
    axes: list[int | None] = field(default_factory=list)

    def add(self, start: DimLike | None, size: DimLike, stride: int) -> None:
        """One more dimension of the operand."""
        self.starts.append(start)
        self.sizes.append(size)
        self.strides.append(stride)

    def show(self, axis: int | None, size: DimLike) -> None:
        """One more dimension of the result."""
        self.shape.append(size)
        self.axes.append(axis)


def getitem(x: Any, key: Any) -> Tensor:
    """The part of `x` that the key names.

    Raises:
      InvalidArgumentError (also an IndexError): an index out of range, too many indices, a step of 0.
      TypeError: a key that is no index.
    """
    if type(x) is Tensor and not slow_mode.count and _is_plain(key):
        try:
            return wrap(x._data[key])
        except (IndexError, ValueError, TypeError):
            pass  # what is wrong is said below
    t = x if isinstance(x, Tensor) else as_tensor(x)
    if _is_mask(key):
        from .ops_index import boolean_mask

        return boolean_mask(t, key)
    return take_slot(t, find_slot(t, key))


def take_slot(t: Tensor, slot: Slot) -> Tensor:
    """The part of the tensor, as a tensor of its own."""
    dims = t.type.shape
    y = t
    if slot.dynamic or tuple(slot.sizes) != dims or any(s != 1 for s in slot.strides):
        attrs = {"starts": tuple(slot.starts), "sizes": tuple(slot.sizes), "strides": tuple(slot.strides)}
        y = apply(_SLICE, (t, *slot.dynamic), attrs)
    if tuple(slot.shape) != tuple(slot.sizes):
        y = apply(_RESHAPE, (y,), {"shape": tuple(slot.shape)})
    return apply(_IDENTITY, (t,), {}) if y is t else y


def write_item(base: Tensor, key: Any, value: Tensor) -> Tensor:
    """`base` with the part that the key names replaced by `value`, which is broadcast to it."""
    return write_slot(base, find_slot(base, key), value)


def write_slot(base: Tensor, slot: Slot, value: Tensor) -> Tensor:
    """`base` with a part replaced by `value`, which is broadcast to it."""
    from .ops_shape import broadcast_to

    shape, found = tuple(slot.shape), value.type.shape
    while len(found) > len(shape) and found[0] == 1:  # NumPy drops leading ones of what is written
        found = found[1:]
        value = apply(_RESHAPE, (value,), {"shape": found})
    v = value if found == shape else broadcast_to(value, slot.shape)
    v = apply(_RESHAPE, (v,), {"shape": tuple(slot.sizes)})
    attrs = {"starts": tuple(slot.starts), "strides": tuple(slot.strides)}
    return apply(_UPDATE, (base, v, *slot.dynamic), attrs)  # type: ignore[no-any-return]


def _is_plain(key: Any) -> bool:
    """Whether NumPy's basic indexing means the same by the key: integers, slices, newaxis and the ellipsis."""
    kind = type(key)
    if kind is tuple:
        return all(type(k) in _PLAIN for k in key)
    return kind in _PLAIN


def _is_mask(key: Any) -> bool:
    if isinstance(key, (bool, np.bool_)):
        return True
    if isinstance(key, np.ndarray):
        return bool(key.dtype == np.bool_)
    return is_tensor(key) and bool(key.dtype.is_bool)


def find_slot(t: Tensor, key: Any) -> Slot:
    """The slot of a key."""
    items = list(key) if isinstance(key, (tuple, list)) else [key]
    dims = t.type.shape
    used = sum(1 for k in items if k is not None and k is not Ellipsis)
    if used > len(dims):
        fail(
            IndexMismatch,
            f"Index out of range: {used} indices for a tensor of shape {t.shape}, which has {len(dims)} dimensions",
        )
    gaps = [i for i, k in enumerate(items) if k is Ellipsis]
    if len(gaps) > 1:
        fail(IndexMismatch, "Multiple ellipses in slice spec not allowed: write `...` once")
    fill = [slice(None)] * (len(dims) - used)
    items = items[: gaps[0]] + fill + items[gaps[0] + 1 :] if gaps else items + fill
    slot = Slot()
    for k in items:
        if k is None:
            slot.show(None, 1)
        elif isinstance(k, slice):
            _slice(t, slot, k, dims[len(slot.starts)])
        else:
            _index(t, slot, k, dims[len(slot.starts)])
    return slot


def _slice(t: Tensor, slot: Slot, k: slice, dim: DimLike) -> None:
    axis = len(slot.starts)
    if k.start is None and k.stop is None and k.step is None:
        slot.add(0, dim, 1)
        slot.show(axis, dim)
        return
    if isinstance(k.start, Weak) or isinstance(k.stop, Weak):
        known = [b.known() if isinstance(b, Weak) else b for b in (k.start, k.stop)]
        if all(b is None or n is not None for b, n in zip((k.start, k.stop), known, strict=True)):
            k = slice(known[0], known[1], k.step)
        elif k.step in (None, 1) and _window(slot, k, dim):
            return
        else:  # a length that the trips do not share
            k = slice(*[b.as_index(dim)[0] if isinstance(b, Weak) else b for b in (k.start, k.stop, k.step)])
    start, stop, step = (_bound(b, axis) for b in (k.start, k.stop, k.step))
    step = 1 if step is None else step
    if isinstance(step, Tensor):
        fail(TypeError, f"the step of a slice of dimension {axis} is computed from an argument: use a Python int")
    bounded = start is not None or stop is not None or abs(step) != 1
    if isinstance(start, Tensor) or isinstance(stop, Tensor) or (bounded and _runs(dim)):
        _computed(t, slot, (start, stop, step))
        return
    if isinstance(step, Dim) or step == 0:
        fail(IndexMismatch, f"strides[{axis}] must be non-zero: a slice needs a step other than {step}")
    if isinstance(dim, int) and not isinstance(start, Dim) and not isinstance(stop, Dim):
        first, size = _known_span(start, stop, step, dim)
    else:
        first, size = _symbolic_span(start, stop, step, dim)
    slot.add(first if size != 0 else 0, size, step)
    slot.show(axis, size)


def _window(slot: Slot, k: slice, dim: DimLike) -> bool:
    """A slice between numbers that are not known, always of one length; False when it is not known to be that."""
    number = k.start if isinstance(k.start, Weak) else k.stop
    found = number.span(k.start, k.stop, dim)
    if found is None:
        return False
    place, size = found
    axis = len(slot.starts)
    if is_tensor(place):
        slot.dynamic.append(place)
    elif isinstance(place, Weak):
        slot.dynamic.append(place.as_index(dim)[0])
    slot.add(place if isinstance(place, int) else None, size, 1)
    slot.show(axis, size)
    return True


def _runs(dim: DimLike) -> bool:
    """Whether the size is known only when the traced function runs, so that bounds have to be clamped there."""
    return isinstance(dim, Dim) and context.trace is not None and context.trace.is_computed(dim)


def _computed(t: Tensor, slot: Slot, bounds: tuple[Any, Any, Any]) -> None:
    """A slice whose bounds are known only when the traced function runs."""
    start, stop, step = bounds
    axis = len(slot.starts)
    if isinstance(step, Dim) or step == 0:
        fail(IndexMismatch, f"strides[{axis}] must be non-zero and a Python int, not {step}")
    first, size = context.trace.span(t, axis, start, stop, step)  # type: ignore[union-attr]
    slot.add(None, size, step)
    slot.dynamic.append(first)
    slot.show(axis, size)


def _known_span(start: Any, stop: Any, step: int, dim: int) -> tuple[int, DimLike]:
    """First element and number of elements by Python's rule, where the size may have a name (`ir.sizes`)."""
    if not (is_named(dim) or is_named(start) or is_named(stop)):
        first, last, step = slice(start, stop, step).indices(dim)
        return first, len(range(first, last, step))
    low, high = (0, dim) if step > 0 else (-1, dim - 1)

    def inside(b: Any, default: int) -> int:
        if b is None:
            return default
        b = b + dim if b < 0 else b
        return low if b < low else high if b > high else b

    first, last = inside(start, low if step > 0 else high), inside(stop, high if step > 0 else low)
    count = (last - first + step - 1) // step if step > 0 else (first - last - step - 1) // -step
    return first, count if count > 0 else 0


def _symbolic_span(start: Any, stop: Any, step: int, dim: DimLike) -> tuple[Any, DimLike]:
    """First element and number of elements where sizes are symbols; the bounds are taken to lie inside."""

    def inside(b: Any) -> Any:
        return b + dim if isinstance(b, int) and b < 0 else b

    if step > 0:
        first = 0 if start is None else inside(start)
        end = dim if stop is None else inside(stop)
        return first, floordiv(end - first + (step - 1), step)
    first = dim - 1 if start is None else inside(start)
    end = -1 if stop is None else inside(stop)
    return first, floordiv(first - end + (-step - 1), -step)


def _bound(b: Any, axis: int) -> Any:
    if b is None or type(b) is int or isinstance(b, Dim) or is_named(b):
        return b
    if is_tensor(b):
        t = as_tensor(b)
        if not t.dtype.is_integer or t.ndim:
            fail(TypeError, f"a slice bound must be an integer, not {t.dtype.name} of shape {t.shape}")
        value = t._constant_value()
        if value is None:
            return t
        b = value[()]
        return b if isinstance(b, Dim) or is_named(b) else int(b)
    return _integer(b)


def _integer(k: Any) -> int:
    if isinstance(k, (str, bytes, float, complex)) or not hasattr(k, "__index__"):
        fail(
            TypeError,
            "Only integers, slices (`:`), ellipsis (`...`), pb.newaxis (`None`) and scalar integer tensors are "
            f"valid indices, got {k!r}",
        )
    return int(k.__index__())


def _index(t: Tensor, slot: Slot, k: Any, dim: DimLike) -> None:
    axis = len(slot.starts)
    i: Any = k
    if isinstance(k, Weak):
        number, negative = k.as_index(dim)
        slot.add(None, 1, 1)
        slot.dynamic.append(_from_the_start(t, number, axis) if negative else number)
        return
    if is_tensor(k):
        k = as_tensor(k)
        if not k.dtype.is_integer or k.ndim:
            fail(
                TypeError,
                f"an index must be a scalar integer tensor, not {k.dtype.name} of shape {k.shape}: "
                "use pb.gather for several indices",
            )
        value = k._constant_value()
        if value is None:
            slot.add(None, 1, 1)
            slot.dynamic.append(_from_the_start(t, k, axis))
            return
        i = value[()]
    if not isinstance(i, Dim):
        i = _integer(i)
    if isinstance(dim, int) and isinstance(i, int):
        if not -dim <= i < dim:
            fail(
                IndexMismatch,
                f"slice index {i} of dimension {axis} out of bounds: the tensor has shape {t.shape}, "
                f"so the index must be in [{-dim}, {dim})",
            )
        i %= dim
    elif isinstance(i, int) and i < 0:
        i = dim + i
    slot.add(i, 1, 1)


def _from_the_start(t: Tensor, i: Tensor, axis: int) -> Tensor:
    """A computed index, counted from the end when it is negative."""
    if i.dtype.name not in ("int32", "int64"):
        i = apply(get("cast"), (i,), {"dtype": int64})
    n = t.type.shape[axis]
    # A number where it is one: an index that depends on no array is computed again, not kept, by a loop's reverse.
    size = as_tensor(n, i.dtype) if isinstance(n, int) else apply(get("dim"), (t,), {"axis": axis, "dtype": i.dtype})
    zero = as_tensor(0, i.dtype)
    negative = apply(get("lt"), (i, zero), {})
    return apply(get("where"), (negative, apply(get("add"), (i, size), {}), i), {})  # type: ignore[no-any-return]
