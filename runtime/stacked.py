"""`StackedList`: what a list of tensors of one type is when a loop of a compiled function has filled it.

The elements lie in a few stacked tensors, so that the program does not grow with their number. It does what a list
does; where a tensor is expected it is the stack of its elements, as any list of tensors is.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any

from .array import array_of, is_array
from .convert import as_tensor
from .location import at
from .tensor import Tensor
from .weak import Weak

_LOST = (
    "this writes to an element of a list that a loop of the compiled function filled, and the list would not see it: "
    "write to a copy, or build the list with `for i in pb.unroll(range(n))`"
)


def row_of(x: Any) -> Tensor:
    """A tensor as a stack of one, whatever its kind."""
    from .ops_shape import expand_dims

    return expand_dims(as_tensor(x), 0)


class StackedList:
    """A list of tensors in parts, pairs of a stacked tensor and its length. `arrays`: whether they are NumPy's kind."""

    __slots__ = ("arrays", "parts")

    def __init__(self, parts: Iterable[tuple[Tensor, int]], arrays: bool = False) -> None:
        self.parts, self.arrays = list(parts), arrays

    @staticmethod
    def of(items: Iterable[Any]) -> StackedList:
        """A list of tensors, one by one."""
        found = list(items)
        return StackedList([(row_of(x), 1) for x in found], any(map(is_array, found)))

    # ------------------------------------------------------------ as tensors
    def _as_tensor(self) -> Tensor:
        from .ops_shape import concat

        return self._kind(concat([t for t, _ in self.parts], 0))

    def _kind(self, t: Tensor) -> Tensor:
        """A fresh tensor as an array, if that is what the elements are."""
        return array_of(t) if self.arrays and not is_array(t) else t

    def _element(self, t: Tensor, k: int) -> Tensor:
        """A row of a part. It is a copy of what is in the list: a write to it would be lost, and is refused."""
        found = self._kind(t[k])
        shared = getattr(getattr(found, "trace", None), "shared", None)
        if shared is not None:
            shared[id(found)] = found, _LOST
        return found

    @property
    def dtype(self) -> Any:
        """The dtype of the elements."""
        return self.parts[0][0].dtype

    def stacked(self, axis: int) -> Tensor:
        """The elements along a new axis."""
        from .ops_shape import axis_argument, transpose

        t = self._as_tensor()
        k = axis_argument(axis, t.ndim)
        return t if k == 0 else self._kind(transpose(t, [*range(1, k + 1), 0, *range(k + 1, t.ndim)]))

    def joined(self, axis: int) -> Tensor:
        """The elements one after another along an axis of theirs."""
        from .ops_shape import axis_argument, reshape

        element = self.parts[0][0].type.shape[1:]
        if not element:
            raise ValueError(f"concat: scalars have no axis to join along: use pb.stack{at()}")
        k = axis_argument(axis, len(element))
        return self._kind(reshape(self.stacked(k), [*element[:k], -1, *element[k + 1 :]]))

    # ------------------------------------------------------------ as a list
    def __len__(self) -> int:
        return sum(n for _, n in self.parts)

    def __iter__(self) -> Iterator[Tensor]:
        return (self._element(t, k) for t, n in self.parts for k in range(n))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self._slice(key)
        if isinstance(key, (Tensor, Weak)) or hasattr(type(key), "_as_tensor"):
            return self._element(self._as_tensor(), key)
        k, _ = self._range(key)
        for t, n in self.parts:
            if k < n:
                return self._element(t, k)
            k -= n
        raise AssertionError("the parts are as long as the list")

    def _slice(self, key: slice) -> Any:
        first, last, step = key.indices(len(self))
        size = len(range(first, last, step))
        if not size:
            return []
        return StackedList([(self._as_tensor()[slice(first, last if last >= 0 else None, step)], size)], self.arrays)

    def append(self, x: Any) -> None:
        """One more element, of the type of the others."""
        self.parts.append((row_of(self._check(x, "appended")), 1))

    def _check(self, x: Any, what: str) -> Tensor:
        t = as_tensor(x)
        like = self.parts[0][0].type
        if t.type.dtype is not like.dtype or t.type.shape != like.shape[1:]:
            raise TypeError(
                f"a loop filled the list with tensors {like.dtype.name}{list(like.shape[1:])}; a {t.type} cannot "
                f"be {what}: write `items = list(items)` before{at()}"
            )
        return t

    def extend(self, items: Any) -> None:
        """More elements."""
        if isinstance(items, StackedList):
            self.parts += items.parts
        else:
            for x in items:
                self.append(x)

    def copy(self) -> StackedList:
        """A list of the same elements."""
        return StackedList(self.parts, self.arrays)

    def _replace(self, first: int, last: int, rows: Iterable[Any] = ()) -> None:
        """Puts elements where those from `first` to before `last` are."""
        new = [(row_of(self._check(x, "put there")), 1) for x in rows]
        size, t = len(self), self._as_tensor()
        before, after = (t[:first], first), (t[last:], size - last)
        parts = [p for p in (before, *new, after) if p[1]]
        self.parts = parts or [(t[:0], 0)]

    def _range(self, key: Any) -> tuple[int, int]:
        """The first and the end of the elements that an index or a slice names."""
        size = len(self)
        if isinstance(key, slice):
            first, last, step = key.indices(size)
            if step != 1:
                raise TypeError(
                    f"this changes every {step}. element of a list that a loop of the compiled function filled: "
                    f"write `items = list(items)` before{at()}"
                )
            return first, max(first, last)
        k = operator.index(key)
        if not -size <= k < size:
            raise IndexError(f"list index {k} out of range for {size} elements{at()}")
        return k % size, k % size + 1

    def __setitem__(self, key: Any, value: Any) -> None:
        self._replace(*self._range(key), list(value) if isinstance(key, slice) else [value])

    def __delitem__(self, key: Any) -> None:
        self._replace(*self._range(key))

    def insert(self, k: int, x: Any) -> None:
        """One more element, before another."""
        first = slice(k, None).indices(len(self))[0]
        self._replace(first, first, [x])

    def reverse(self) -> None:
        """Turns the order round."""
        self.parts = [(self._as_tensor()[::-1], len(self))]

    def clear(self) -> None:
        """Takes all elements out."""
        self._replace(0, len(self))

    def pop(self, k: int = -1) -> Tensor:
        """Takes an element out."""
        first, last = self._range(k)
        found = self._kind(self._as_tensor()[first])
        self._replace(first, last)
        return found

    def __reversed__(self) -> Iterator[Tensor]:
        return iter(list(self)[::-1])

    def __add__(self, other: Any) -> Any:
        if isinstance(other, StackedList):
            return StackedList(self.parts + other.parts, self.arrays)
        return list(self) + other if isinstance(other, list) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return other + list(self) if isinstance(other, list) else NotImplemented

    def __mul__(self, other: int) -> Any:
        return list(self) * other

    def __repr__(self) -> str:
        return repr(list(self))
