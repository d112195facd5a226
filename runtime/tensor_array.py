"""`TensorArray`: tensors by number, written one by one and read or stacked later; TensorFlow's way to fill from a loop.

Eagerly it is a list. Inside a compiled function it is one buffer with a row for each element, which loops carry and
update in place, so that reads and writes take computed indices and have gradients; `write` gives the new array. The
number of rows is `size`, or what the writes at known indices need with `dynamic_size`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ..ir.dtypes import as_dtype, float32, int32
from ..ir.opdef import get
from ..ir.types import TensorType
from .context import context, slow_mode
from .convert import as_tensor
from .dispatch import apply
from .errors import InvalidArgumentError, OutOfRangeError, fail
from .tensor import Tensor
from .tensor_shape import TensorShape
from .weak import Weak


class Unwritten:
    """The buffer of an array to which nothing has been written: its number of rows is all that is known."""

    def __init__(self, size: int) -> None:
        self.size = size

    def of(self, element: TensorType) -> Tensor:
        """Zeros for elements of a type."""
        return _zeros(TensorType(element.dtype, (self.size, *element.shape)))


def _zeros(t: TensorType) -> Tensor:
    zero = as_tensor(np.zeros((), t.dtype.np))
    return apply(get("broadcast_to"), (zero,), {"shape": t.shape})  # type: ignore[no-any-return]


class Settings:
    """What all versions of an array share. `shape`: that of the elements, as far as it is known, or None."""

    def __init__(self, dtype: Any, dynamic: bool, clears: bool, same_shapes: bool, shape: Any) -> None:
        self.dtype, self.dynamic, self.clears, self.same_shapes = as_dtype(dtype), dynamic, clears, same_shapes
        self.shape = None if shape is None else TensorShape(shape)

    def zeros(self) -> Tensor | None:
        """An element of zeros; None where the shape is not known."""
        dims: list[Any] = [None] if self.shape is None or self.shape.rank is None else self.shape.as_list()
        return None if None in dims else _zeros(TensorType(self.dtype, tuple(dims)))


@dataclass(eq=False, repr=False)
class TensorArray:
    """See the module's text."""

    settings: Settings
    items: Any  # eagerly: a list of tensors, None where nothing was written
    buffer: Any  # inside a compiled function: a stacked tensor, or Unwritten

    def __init__(
        self,
        dtype: Any = float32,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:
        self.settings = Settings(
            dtype, bool(dynamic_size), clear_after_read is not False, bool(infer_shape), element_shape
        )
        n = _static_size(0 if size is None else size)
        traced = slow_mode.count > 0 and context.trace is not None
        self.items = None if traced else [None] * n
        self.buffer = Unwritten(n) if traced else None

    # ------------------------------------------------------------ what it is
    @property
    def dtype(self) -> Any:
        """The elements' dtype."""
        return self.settings.dtype

    @property
    def element_shape(self) -> TensorShape:
        """The elements' shape, as far as it is known."""
        if isinstance(self.buffer, Tensor):
            return self.buffer.shape[1:]
        return TensorShape(None) if self.settings.shape is None else self.settings.shape

    @property
    def dynamic_size(self) -> bool:
        """Whether writes may make it longer."""
        return self.settings.dynamic

    def size(self, name: str | None = None) -> Tensor:
        """The number of elements."""
        return as_tensor(self._length(), int32)

    def _length(self) -> int:
        if self.items is not None:
            return len(self.items)
        return int(self.buffer.size if isinstance(self.buffer, Unwritten) else self.buffer.type.shape[0])

    def identity(self) -> TensorArray:
        """An array of the same elements."""
        return self._with(None if self.items is None else list(self.items), self.buffer)

    def close(self, name: str | None = None) -> None:
        """Nothing: memory is freed when nobody needs it."""

    def _with(self, items: Any, buffer: Any) -> TensorArray:
        new = object.__new__(TensorArray)
        new.settings, new.items, new.buffer = self.settings, items, buffer
        return new

    # ------------------------------------------------------------ element by element
    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with an element replaced: go on with what this gives, `ta = ta.write(i, v)`.

        Raises:
          OutOfRangeError: an index beyond the size, without `dynamic_size`. ValueError, TypeError: another type.
        """
        v = self._checked(as_tensor(value, self.settings.dtype))
        if self.items is None:
            return self._with(None, self._written(index, v))
        k = self._place(index, len(self.items), self.settings.dynamic, "write to")
        self.items += [None] * (k + 1 - len(self.items))
        self.items[k] = v
        return self

    def _checked(self, v: Tensor) -> Tensor:
        known = self.settings
        if known.shape is not None and not known.shape.is_compatible_with(v.shape):
            fail(ValueError, f"Incompatible shape for value ({v.shape}), expected ({known.shape})")
        if known.same_shapes and known.shape is None:
            known.shape = v.shape
        return v

    def _place(self, index: Any, size: int, grows: bool, what: str) -> int:
        k = int(index)
        if k < 0 or (k >= size and not grows):
            why = f"array is not resizeable and size is: {size}" if what == "write to" else f"array size is: {size}"
            fail(OutOfRangeError, f"Tried to {what} index {k} but {why}")
        return k

    def _written(self, index: Any, v: Tensor) -> Tensor:
        from .indexing import write_item
        from .ops_shape import concat

        base = self.buffer.of(v.type) if isinstance(self.buffer, Unwritten) else self.buffer
        if base.type.shape[1:] != v.type.shape:
            fail(ValueError, f"Incompatible shape for value ({v.shape}), expected ({base.shape[1:]})")
        last = _largest(index)
        rows: Any = base.type.shape[0]
        if last is None and self.settings.dynamic:
            trace = context.trace
            assert trace is not None
            trace.run_eagerly("a TensorArray of dynamic size is written at a computed place (a size= would compile)")
        if last is not None and last >= rows:
            self._place(last, rows, self.settings.dynamic, "write to")
            base = concat([base, _zeros(TensorType(v.dtype, (last + 1 - rows, *v.type.shape)))], 0)
        return write_item(base, index, v)

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """One element.

        Raises:
          OutOfRangeError: an index beyond the size. InvalidArgumentError: an element that was read before, of an array
          with `clear_after_read`, or that was never written and whose shape is not known.
        """
        if self.items is None:
            return self._rows()[index]
        k = self._place(index, len(self.items), False, "read from")
        found = self._element(k)
        if self.settings.clears:
            self.items[k] = _READ
        return found

    def _element(self, k: int) -> Tensor:
        found = self.items[k]
        if found is _READ:
            fail(
                InvalidArgumentError,
                f"Could not read index {k} twice because it was cleared after a previous read (perhaps try setting "
                "clear_after_read = false?)",
            )
        if found is None:
            found = self.items[k] = self.settings.zeros()
        if found is None:
            fail(InvalidArgumentError, f"Could not read index {k}: it was not written, and its shape is not known")
        return found  # type: ignore[no-any-return]

    def _rows(self) -> Tensor:
        """The buffer, with zeros where nothing was written."""
        if not isinstance(self.buffer, Unwritten):
            found: Tensor = self.buffer
            return found
        zero = self.settings.zeros()
        if zero is None:
            fail(InvalidArgumentError, "TensorArray: nothing was written yet; write first, or give element_shape=")
        return self.buffer.of(zero.type)

    # ------------------------------------------------------------ all elements
    def stack(self, name: str | None = None) -> Tensor:
        """The elements along a new first axis."""
        from .ops_shape import stack

        if self.items is None:
            return self._rows()
        if not self.items:
            zero = self.settings.zeros()
            return as_tensor(np.zeros((0, *(() if zero is None else zero.type.shape)), self.dtype.np))
        return stack([self._element(k) for k in range(len(self.items))])

    def concat(self, name: str | None = None) -> Tensor:
        """The elements one after another along their first axis."""
        from .ops_shape import concat, reshape

        if self.items is None:
            rows = self._rows()
            return reshape(rows, [-1, *rows.type.shape[2:]])
        return concat([self._element(k) for k in range(len(self.items))], 0)

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """The elements at some indices, stacked."""
        from .ops_index import gather
        from .ops_shape import stack

        if self.items is None:
            return gather(self._rows(), indices)
        return stack([self._element(int(k)) for k in np.asarray(indices).reshape(-1)])

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array whose elements are the slices of a tensor."""
        t = as_tensor(value, self.settings.dtype)
        if not t.ndim:
            fail(ValueError, "TensorArray.unstack: a scalar has no first axis")
        self._checked(t[0]) if t.type.shape[0] != 0 else None
        if self.items is None:
            return self._with(None, t)
        rows = list(t)
        if len(rows) > len(self.items) and not self.settings.dynamic and self.items:
            fail(OutOfRangeError, f"TensorArray.unstack: {len(rows)} elements for a size of {len(self.items)}")
        self.items[:] = rows
        return self

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with the slices of a tensor written at some indices, which must be known."""
        t = as_tensor(value, self.settings.dtype)
        known = as_tensor(indices)._constant_value()
        if known is None:
            fail(ValueError, "TensorArray.scatter: the indices must be known while the function is traced")
        out = self
        for row, k in enumerate(np.asarray(known).reshape(-1).tolist()):
            out = out.write(k, t[row])
        return out

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """The array whose elements are pieces of a tensor, of these lengths along its first axis."""
        t = as_tensor(value, self.settings.dtype)
        sizes = np.asarray(as_tensor(lengths)._constant_value()).reshape(-1).tolist()
        if sum(sizes) != t.type.shape[0]:
            fail(InvalidArgumentError, f"TensorArray.split: the lengths {sizes} do not add up to {t.type.shape[0]}")
        out, start = self, 0
        for k, n in enumerate(sizes):
            out = out.write(k, t[start : start + n])
            start += n
        return out

    def __len__(self) -> NoReturn:
        raise TypeError("a TensorArray has no len(): use ta.size()")

    def __repr__(self) -> str:
        return f"<TensorArray of {self._length()} elements, {self.dtype.name} {self.element_shape}>"


class _Read:
    """In place of an element that was read and cleared."""


_READ = _Read()


def _static_size(size: Any) -> int:
    if isinstance(size, (int, np.integer)):
        return int(size)
    value = as_tensor(size)._constant_value()
    if value is None or value.dtype == object:
        fail(
            ValueError,
            "TensorArray: the size must be known while the function is traced; give a Python number, large enough",
        )
    return int(value)


def _largest(index: Any) -> int | None:
    """The largest value that an index may have, None when that is not known."""
    if isinstance(index, Weak):
        return index.largest()
    if isinstance(index, Tensor):
        value = index._constant_value()
        return None if value is None or value.dtype == object else int(value)
    return int(index)


__all__: Sequence[str] = ["TensorArray", "Unwritten"]
