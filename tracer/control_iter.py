"""What a `for` loop runs over when the trip count is a tensor or the items are slices of one.

`range`, `pb.range`, `enumerate`, `zip` and `reversed` in the head of a loop are not evaluated to arrays: they are
descriptions of items by number. Iterables of Python values stay what they are.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..ir.dtypes import DType, as_dtype, int32, int64
from ..ir.errors import InvalidArgumentError, ShapeMismatch
from ..runtime import ops_create
from ..runtime.arithmetic import cast
from ..runtime.convert import as_tensor
from ..runtime.dispatch import call
from ..runtime.location import at
from ..runtime.numpy_create import CREATION
from ..runtime.ops_sizes import shape as shape_of
from ..runtime.stacked import StackedList
from ..runtime.tensor import Tensor
from .control_region import current_trace
from .control_test import is_tensor
from .number import TENSORS, Number
from .number_range import INT32, INT64, plain
from .symbolic import SymbolicTensor


class Counted:
    """Items by number: `count` of them (an int or a scalar tensor), `item(k)` for a tensor k of type `dtype`."""

    dtype: DType = int32

    def __init__(self, count: Any, item: Callable[[Any], Any], dtype: DType = int32) -> None:
        self.count, self.item, self.dtype = count, item, dtype

    def bounds(self) -> tuple[Any, Any, Any]:
        """Lower bound, upper bound and step of the loop's index."""
        return 0, self.count, 1

    def at_index(self, index: Tensor) -> Any:
        """The item for a value of the loop's index."""
        return self.item(index)

    def __iter__(self) -> Iterator[Any]:
        if not isinstance(self.count, int):
            found = next((b._describe() for b in self.bounds() if isinstance(b, SymbolicTensor)), "a tensor's size")
            raise TypeError(
                f"a comprehension, or Python that is not rewritten, runs over a range of which {found} is a bound: how "
                f"many items there are is not known while the function is traced; pass a Python int, or write a `for` "
                f"statement{at()}"
            )
        return iter([self.item(as_tensor(k, self.dtype)) for k in builtins.range(self.count)])


class Range(Counted):
    """start, start + step, ... before stop, of one integer dtype."""

    def __init__(self, start: Any, stop: Any, step: Any, dtype: DType) -> None:
        self.start, self.stop, self.step = start, stop, step
        self.wanted = dtype
        self.dtype = dtype if dtype in (int32, int64) else int32
        self.item = self._item

    @property
    def count(self) -> Any:
        """How many: ceil((stop - start) / step), at least 0."""
        if all(isinstance(b, int) for b in (self.start, self.stop, self.step)):
            return len(builtins.range(self.start, self.stop, self.step))
        start, stop, step = (as_tensor(b, self.dtype) for b in (self.start, self.stop, self.step))
        n = call("neg", call("floordiv", call("sub", start, stop), step))
        return call("maximum", n, as_tensor(0, self.dtype))

    def _item(self, k: Any) -> Any:
        start, step = as_tensor(self.start, self.dtype), as_tensor(self.step, self.dtype)
        return cast(start + k * step, self.wanted)

    def bounds(self) -> tuple[Any, Any, Any]:
        """The range's own."""
        return self.start, self.stop, self.step

    def at_index(self, index: Tensor) -> Any:
        """The index itself."""
        return cast(index, self.wanted)


class Trips(Counted):
    """Items that Python numbers: a loop over them may be unrolled where `count` is an int.

    `item` takes a `Number`, or the int for which it stands.
    """

    def range(self) -> tuple[Any, Any, Any]:
        """Start, stop and step of the numbers that `item` takes."""
        return 0, self.count, 1

    def rest(self) -> Trips:
        """All items but the first."""
        return Trips(self.count - 1, lambda k: self.item(k + 1))

    def __iter__(self) -> Iterator[Any]:
        start, stop, step = self.range()
        return iter([self.item(k) for k in builtins.range(start, stop, step)])


class TripRange(Trips):
    """`range` of ints and `Number`s."""

    def __init__(self, start: Any, stop: Any, step: Any) -> None:
        self.start, self.stop, self.step = start, stop, step
        self.item = lambda k: k

    @property
    def count(self) -> Any:
        """How many; None where that is not known."""
        bounds = self.range()
        return len(builtins.range(*bounds)) if all(type(b) is int for b in bounds) else None

    def range(self) -> tuple[Any, Any, Any]:
        """The range's own."""
        return self.start, self.stop, self.step

    def rest(self) -> Trips:
        """All items but the first."""
        return TripRange(self.start + self.step, self.stop, self.step)

    def __iter__(self) -> Iterator[Any]:
        return iter(builtins.range(self.start, self.stop, self.step))


def trips(x: Any) -> Trips | None:
    """The description of a range, of a list that a loop filled, or of what `zip` and the like made of them; or None."""
    if isinstance(x, builtins.range):
        return TripRange(x.start, x.stop, x.step)
    if isinstance(x, StackedList):
        return Trips(len(x), lambda k: x[k])
    return x if isinstance(x, Trips) else None


class Unrolled:
    """What `pb.unroll` gives."""

    def __init__(self, iterable: Any) -> None:
        self.iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        return iter(self.iterable)

    def __len__(self) -> int:
        return len(self.iterable)


def unroll(iterable: Any) -> Unrolled:
    """In the head of a loop, `for i in pb.unroll(range(3))`: the compiled function has the body once for each item.

    Loops over Python ranges become loops of the machine code by themselves where they can; this is for short ones
    that shall not, or whose body is to see `i` as a number.
    """
    return Unrolled(iterable)


def rows(t: Any) -> Counted:
    """The slices of a tensor along its first axis. Raises TypeError for a scalar."""
    x = as_tensor(t)
    shape = x.type.shape
    if not shape:
        raise TypeError(f"cannot iterate over a scalar tensor{at()}")
    if isinstance(shape[0], int):
        return Counted(shape[0], lambda k: x[k])
    return Counted(shape_of(x)[0], lambda k: x[k])


class PythonRange(Range):
    """`range` of tensors: its items are Python's ints, which take the dtype of what they meet."""

    def _item(self, k: Any) -> Any:
        return self.number(super()._item(k))

    def at_index(self, index: Tensor) -> Any:
        """The index, as a number."""
        return self.number(index)

    def __iter__(self) -> Iterator[Any]:
        return iter(builtins.range(*(operator.index(b) for b in (self.start, self.stop, self.step))))

    def number(self, index: Tensor) -> Any:
        """An item as a number."""
        low, high = INT64 if index.dtype is int64 else INT32
        if isinstance(self.start, int) and isinstance(self.step, int):
            low, high = (max(low, self.start), high) if self.step > 0 else (low, min(high, self.start))
        return Number(index, int, plain(low, high), TENSORS)


def counted_number(k: Tensor) -> Any:
    """The number of an item, from 0 on, as a Python int."""
    return Number(k, int, plain(0, (INT64 if k.dtype is int64 else INT32)[1]), TENSORS)


def python_range(*args: Any) -> Any:
    """`range`, also of tensors."""
    if any(isinstance(a, Number) for a in args) and not any(is_tensor(a) for a in args):
        return TripRange(*((0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]))
    if not any(is_tensor(a) for a in args):
        return builtins.range(*args)
    r = _range([*args] if len(args) > 1 else [0, *args], None)
    return PythonRange(r.start, r.stop, r.step, r.wanted)


def tensor_range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range") -> Any:
    """`pb.range` in the head of a loop: no array is made of it."""
    bounds = [start, limit, delta] if limit is not None else [0, start, delta]
    if dtype is not None and not as_dtype(dtype).is_integer:
        return _float_range(bounds, as_dtype(dtype))
    if any(_kind(b) == "f" for b in bounds):
        return _float_range(bounds, None)
    return _range(bounds, None if dtype is None else as_dtype(dtype))


def _kind(b: Any) -> str:
    if is_tensor(b):
        return "i" if b.dtype.is_integer else "f"
    return "f" if np.asarray(b).dtype.kind == "f" else "i"


def _range(bounds: Sequence[Any], dtype: DType | None) -> Range:
    """Bounds as Python ints or as tensors of one dtype."""
    tensors = [as_tensor(b) for b in bounds if is_tensor(b)]
    for t in tensors:
        if not t.dtype.is_integer or t.type.shape:
            raise TypeError(f"range: a bound must be an integer scalar, found a tensor {t.type}{at()}")
    if dtype is None:
        found = [t.dtype for t in tensors] or [int32]
        dtype = int64 if int64 in found else found[0]
    index = dtype if dtype in (int32, int64) else int32
    limit, start, step = bounds[1], bounds[0], bounds[2] if len(bounds) > 2 else 1
    out = [cast(b, index) if is_tensor(b) else int(b) for b in (start, limit, step)]
    if isinstance(out[2], int) and out[2] == 0:
        raise InvalidArgumentError(f"range: the step must not be zero{at()}")
    return Range(out[0], out[1], out[2], dtype)


def _float_range(bounds: Sequence[Any], dtype: DType | None) -> Counted:
    tensors = [as_tensor(b).dtype for b in bounds if is_tensor(b)]
    kind = dtype or (tensors[0] if tensors else as_dtype("float32"))
    start, limit, delta = (cast(b, kind) for b in bounds)
    n = call("ceil", (limit - start) / delta)
    count = call("maximum", cast(n, int32), as_tensor(0))
    return Counted(count, lambda k: start + cast(k, kind) * delta)


def counted(x: Any) -> Counted | None:
    """The description of a tensor-like iterable, None for Python's."""
    if isinstance(x, Counted):
        return x
    return rows(x) if is_tensor(x) else None


def lazy_enumerate(iterable: Any, start: Any = 0) -> Any:
    """`enumerate`, also of tensors."""
    steps = trips(iterable)
    if steps is not None and steps.count is not None:
        first, _, step = steps.range()
        return Trips(steps.count, lambda k: (k + start, steps.item(first + k * step)))
    inner = counted(iterable)
    if inner is None:
        return builtins.enumerate(iterable, start)
    return Counted(inner.count, lambda k: (counted_number(k) + start, inner.item(k)), inner.dtype)


def lazy_zip(*iterables: Any, strict: bool = False) -> Any:
    """`zip`, also of tensors. A Python iterable beside a tensor of known length is paired while tracing."""
    mixed = _zip_of_trips(iterables, strict)
    if mixed is not None:
        return mixed
    inner = [counted(x) for x in iterables]
    if not any(c is not None for c in inner):
        return builtins.zip(*iterables, strict=strict)
    if not all(c is not None for c in inner):
        return builtins.zip(*(x if c is None else c for x, c in zip(iterables, inner, strict=True)), strict=strict)
    parts = [c for c in inner if c is not None]
    counts = [c.count for c in parts]
    dtype = int64 if any(c.dtype is int64 for c in parts) else int32
    n: Any
    if all(isinstance(c, int) for c in counts):
        if strict and len(set(counts)) > 1:
            raise ShapeMismatch(f"zip(strict=True): the lengths are {counts}{at()}")
        n = min(counts)
    else:
        n = cast(counts[0], dtype)
        for c in counts[1:]:
            n = call("minimum", n, cast(c, dtype))
    return Counted(n, lambda k: tuple(c.item(cast(k, c.dtype)) for c in parts), dtype)


def _zip_of_trips(iterables: Sequence[Any], strict: bool) -> Trips | None:
    """`zip` of ranges, and of tensors of known length with at least one range."""
    parts: list[Any] = [trips(x) or counted(x) for x in iterables]
    if not any(isinstance(p, Trips) for p in parts) or any(p is None for p in parts):
        return None
    counts = [p.count for p in parts]
    if not all(isinstance(c, int) for c in counts) or (strict and len(set(counts)) > 1):
        return None

    def item(k: Any) -> Any:
        return tuple(_item_of(p, k) for p in parts)

    return Trips(min(counts), item)


def _item_of(part: Counted, k: Any) -> Any:
    if not isinstance(part, Trips):
        return part.item(k if not isinstance(part, Range) else as_tensor(k, part.dtype))
    start, _, step = part.range()
    return part.item(start + k * step)


def lazy_reversed(x: Any) -> Any:
    """`reversed`, also of tensors."""
    if isinstance(x, builtins.range):
        return x[::-1]
    inner = counted(x)
    if inner is None:
        return builtins.reversed(x)
    last = inner.count - 1
    return Counted(inner.count, lambda k: inner.item(last - k), inner.dtype)


def numpy_range(*args: Any, **kwargs: Any) -> Any:
    """`np.arange` of integers, as `range`: nothing is stored; of other numbers, the array."""
    if not kwargs and all(isinstance(a, (int, np.integer)) for a in args):
        return python_range(*map(int, args))
    return CREATION[np.arange](*args, **kwargs)


_LAZY: dict[Any, Callable[..., Any]] = {
    builtins.range: python_range,
    ops_create.range: tensor_range,
    builtins.enumerate: lazy_enumerate,
    builtins.zip: lazy_zip,
    builtins.reversed: lazy_reversed,
    np.arange: numpy_range,
}


def lazy(f: Any) -> Callable[..., Any] | None:
    """What takes the place of `f` in the head of a loop while tracing."""
    if current_trace() is None:
        return None
    try:
        return _LAZY.get(f)
    except TypeError:  # not hashable
        return None
