"""`TensorShape`: what is known about a shape. A dimension is an int or None (unknown); the whole may be unknown."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, overload

from ..ir.dims import Dim
from ..ir.sizes import is_named


class TensorShape:
    """A possibly partial shape: `TensorShape([2, None])`, `TensorShape(None)` for unknown rank."""

    __slots__ = ("_dims",)
    _dims: tuple[int | None, ...] | None

    def __init__(self, dims: Any) -> None:
        if dims is None:
            self._dims = None
        elif isinstance(dims, TensorShape):
            self._dims = dims._dims
        elif isinstance(dims, (list, tuple)) or (
            hasattr(dims, "__iter__") and not (hasattr(dims, "shape") and len(dims.shape) == 0)
        ):
            self._dims = tuple(_dim(d) for d in dims)
        else:
            self._dims = (_dim(dims),)

    @property
    def rank(self) -> int | None:
        """The number of dimensions, None when unknown."""
        return None if self._dims is None else len(self._dims)

    ndims = rank

    @property
    def dims(self) -> list[int | None] | None:
        """The dimensions as a list, None when the rank is unknown."""
        return None if self._dims is None else list(self._dims)

    def as_list(self) -> list[int | None]:
        """The dimensions as a list. Raises ValueError when the rank is unknown."""
        return list(self._known())

    def num_elements(self) -> int | None:
        """The number of elements, None when some dimension is unknown."""
        if self._dims is None or None in self._dims:
            return None
        return prod(d for d in self._dims if d is not None)

    def is_fully_defined(self) -> bool:
        """Whether every dimension is known."""
        return self._dims is not None and None not in self._dims

    def assert_is_fully_defined(self) -> None:
        """Raises ValueError unless every dimension is known."""
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined")

    def is_compatible_with(self, other: Any) -> bool:
        """Whether one array could have both shapes."""
        a, b = self._dims, TensorShape(other)._dims
        if a is None or b is None:
            return True
        return len(a) == len(b) and all(x is None or y is None or x == y for x, y in zip(a, b, strict=True))

    def is_subtype_of(self, other: Any) -> bool:
        """Whether every array of this shape has the other shape too."""
        a, b = self._dims, TensorShape(other)._dims
        if b is None:
            return True
        return a is not None and len(a) == len(b) and all(y is None or x == y for x, y in zip(a, b, strict=True))

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raises ValueError when no array could have both shapes."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {TensorShape(other)} are incompatible")

    def assert_same_rank(self, other: Any) -> None:
        """Raises ValueError when both ranks are known and differ."""
        o = TensorShape(other)
        if self._dims is not None and o._dims is not None and len(self._dims) != len(o._dims):
            raise ValueError(f"Shapes {self} and {o} must have the same rank")

    def assert_has_rank(self, rank: int) -> None:
        """Raises ValueError unless the rank is unknown or this one."""
        if self.rank not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}")

    def with_rank(self, rank: int) -> TensorShape:
        """This shape, known to have that rank. Raises ValueError."""
        return self.merge_with(TensorShape([None] * rank))

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """This shape. Raises ValueError when its rank is smaller."""
        if self._dims is not None and len(self._dims) < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank: int) -> TensorShape:
        """This shape. Raises ValueError when its rank is larger."""
        if self._dims is not None and len(self._dims) > rank:
            raise ValueError(f"Shape {self} must have rank at most {rank}")
        return self

    def merge_with(self, other: Any) -> TensorShape:
        """What is known when both shapes hold. Raises ValueError when they cannot."""
        o = TensorShape(other)
        self.assert_is_compatible_with(o)
        if self._dims is None or o._dims is None:
            return o if self._dims is None else self
        return TensorShape([x if x is not None else y for x, y in zip(self._dims, o._dims, strict=True)])

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """The most that is known of an array that has one shape or the other."""
        a, b = self._dims, TensorShape(other)._dims
        if a is None or b is None or len(a) != len(b):
            return TensorShape(None)
        return TensorShape([x if x == y else None for x, y in zip(a, b, strict=True)])

    def concatenate(self, other: Any) -> TensorShape:
        """The dimensions of this shape, then those of the other."""
        o = TensorShape(other)
        return TensorShape(None) if self._dims is None or o._dims is None else TensorShape(self._dims + o._dims)

    def as_proto(self) -> Any:
        """TensorFlow's wire format is not offered. Raises NotImplementedError."""
        raise NotImplementedError("pullback has no protocol buffers; use .as_list()")

    def _known(self) -> tuple[int | None, ...]:
        if self._dims is None:
            raise ValueError("The rank of this shape is unknown: as_list(), len() and iteration need a known rank")
        return self._dims

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return TensorShape(other).concatenate(self)

    @overload
    def __getitem__(self, key: int) -> int | None: ...
    @overload
    def __getitem__(self, key: slice) -> TensorShape: ...
    def __getitem__(self, key: Any) -> Any:
        if self._dims is None:
            return TensorShape(None) if isinstance(key, slice) else None
        return TensorShape(self._dims[key]) if isinstance(key, slice) else self._dims[key]

    def __len__(self) -> int:
        return len(self._known())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._known())

    def __bool__(self) -> bool:
        return self._dims is not None

    def __eq__(self, other: object) -> bool:
        try:
            return self._dims == TensorShape(other)._dims
        except (TypeError, ValueError):
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self._dims)

    def __reduce__(self) -> Any:
        return TensorShape, (self._dims,)

    def __str__(self) -> str:
        if self._dims is None:
            return "<unknown>"
        return f"({self._dims[0]},)" if len(self._dims) == 1 else f"({', '.join(map(str, self._dims))})"

    def __repr__(self) -> str:
        return f"TensorShape({None if self._dims is None else list(self._dims)})"


def _dim(d: Any) -> int | None:
    if (type(d) is int or is_named(d)) and d >= 0:
        return d  # type: ignore[no-any-return]
    if d is None or isinstance(d, Dim):
        return None
    if isinstance(d, float) and not d.is_integer():
        raise TypeError(f"Dimension value must be integer or None, got {d!r} of type {type(d).__name__}")
    try:
        n = int(d) if isinstance(d, (float, str)) and not isinstance(d, str) else d.__index__()
    except AttributeError as e:
        raise TypeError(f"Dimension value must be integer or None, got {d!r} of type {type(d).__name__}") from e
    if n < 0:
        raise ValueError(f"Dimension {n} must be >= 0")
    return int(n)


def known_shape(dims: tuple[Any, ...]) -> TensorShape:
    """The TensorShape of dimensions that are ints or sizes of the IR; the fast way for tensors."""
    s = TensorShape.__new__(TensorShape)
    s._dims = dims if all(type(d) is int for d in dims) else tuple(d if isinstance(d, int) else None for d in dims)
    return s
