"""Writing to tensors and arrays: `t[key] = v` gives the handle a new value.

Values never change; a handle can be given another one. Whoever has the handle sees the new value; what was computed
from the old one keeps it: every tape that knows the handle is told that the old value goes on under another identity
(`moved`). A view is a handle on a part of another handle: reading it reads the base's present value, writing to it
writes to the base.

In eager mode the array behind a handle is written in place where nobody else has it, else it is copied first.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..ir.opdef import get
from .context import context, slow_mode
from .dispatch import record
from .errors import fail
from .indexing import Slot
from .live import live_tapes
from .numpy_methods import NumpyMethods
from .tensor import Tensor

_IDENTITY = get("identity")


def rebind(handle: Any, new: Any) -> None:
    """Gives the handle the value of `new`. Tapes see that, and keep what they recorded of the old one.

    Raises:
      TypeError: a value of another dtype or shape (the callers convert).
    """
    old = handle._clone()
    for tape in live_tapes():
        tape.moved(handle, old)
    handle._become(new)
    if context.recorders:
        record(_IDENTITY, {}, (new,), (handle,))


def set_item(t: Any, key: Any, value: Any) -> None:
    """`t[key] = value`."""
    part = getattr(t, "_part", None)
    if part is not None:
        part.set_item(key, value)
        return
    if _nobody_listens(t) and _write_now(t, key, value):
        return
    from .writing import written

    new = written(t, key, value)
    if new is not t:
        rebind(t, new)


def _nobody_listens(t: Any) -> bool:
    """Whether NumPy may write: the tensor is eager, and no tape or trace has to see it."""
    return t._eager_storage and not live_tapes() and (not slow_mode.count or context.trace is None)


def write_slot_now(t: Any, slot: Slot, value: Any) -> bool:
    """Writes a slot of an eager tensor with NumPy. False when the general way must be taken."""
    axes = [a for a in slot.axes if a is not None]
    if not _nobody_listens(t) or len(axes) != len(slot.axes) or axes != sorted(axes) or slot.dynamic:
        return False
    key: list[Any] = []
    for axis, (start, size, stride) in enumerate(zip(slot.starts, slot.sizes, slot.strides, strict=True)):
        if axis not in axes:
            key.append(start)
            continue
        assert start is not None
        end = start + size * stride
        stop = None if isinstance(end, int) and end < 0 else end
        key.append(slice(start, stop, stride) if size != 0 else slice(0, 0))
    return _write_now(t, tuple(key), value)


def _exclusive(data: np.ndarray[Any, Any]) -> bool:
    """Whether only the handle has the array: its slot, the caller's variable, the parameter, the count's argument."""
    return sys.getrefcount(data) <= _ALONE and data.flags.owndata and data.flags.writeable


def _measure() -> int:
    """What `getrefcount` says in `_exclusive` for an array that only one handle has."""
    t = Tensor(np.zeros(3))

    def inner(data: np.ndarray[Any, Any]) -> int:
        return sys.getrefcount(data)

    data = t._data
    return inner(data)


_ALONE = _measure()


def _write_now(t: Tensor, key: Any, value: Any) -> bool:
    """Writes with NumPy, where key and value are plain. False when the general way must be taken."""
    k, v = plain(key), plain(value)
    if k is _NOT_PLAIN or v is _NOT_PLAIN or not _accepts(t, v):
        return False
    data = t._data
    if not _exclusive(data):
        data = data.copy()
    try:
        data[k] = v
    except (IndexError, ValueError, TypeError):
        return False  # what is wrong is said by the general way
    t._data = data
    return True


_NOT_PLAIN = object()


def plain(x: Any) -> Any:
    """An index or a value with arrays in place of eager tensors."""
    if isinstance(x, tuple):
        items = [plain(v) for v in x]
        return _NOT_PLAIN if any(v is _NOT_PLAIN for v in items) else tuple(items)
    if isinstance(x, slice):
        bounds = [plain(b) for b in (x.start, x.stop, x.step)]
        return _NOT_PLAIN if any(b is _NOT_PLAIN for b in bounds) else slice(*bounds)
    if isinstance(x, Tensor):
        return x._data if x._eager_storage else _NOT_PLAIN
    if x is None or x is Ellipsis or isinstance(x, (bool, int, float, np.ndarray, np.generic)):
        return x
    return _NOT_PLAIN


def _accepts(t: Tensor, v: Any) -> bool:
    """Whether NumPy's conversion of the value is the right one: an array takes all, a Tensor only its own dtype."""
    if isinstance(t, NumpyMethods):
        return True
    dtype = t._data.dtype
    if isinstance(v, (np.ndarray, np.generic)):
        return bool(v.dtype == dtype)
    if isinstance(v, bool):
        return bool(dtype.kind == "b")
    return bool(dtype.kind == "f" or (dtype.kind == "i" and isinstance(v, int)))


def refuse_delete(t: Any) -> None:
    """`del t[key]` has no meaning."""
    fail(TypeError, "elements of a tensor cannot be deleted: its size is fixed; make a new one with pb.concat")
