"""Sizes that are known only when the traced function runs: slices with computed bounds, masks.

Python's rule for bounds (negative ones count from the end, all are clamped, nothing where they cross) becomes integer
arithmetic in the IR, and the number of elements a symbol that an op binds to it. Two slices whose bounds are the same
sums of the same values get one symbol, so their sizes are known to be equal; where an op needs equal sizes and they are
not known to be, `fit` checks when the function runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.control import runtime_sizes
from ..ir.dims import Dim, DimLike, ceildiv, symbol, symbols_of
from ..ir.dtypes import int64
from ..ir.elementwise import Elementwise
from ..ir.graph import Block, Op, Value
from ..ir.opdef import OpDef, get
from ..ir.verifier import bound_symbols
from ..runtime.array import array_of, is_array
from ..runtime.indexing import getitem
from ..runtime.location import at
from ..runtime.tensor import Tensor
from .structure import Structure
from .symbolic import SymbolicTensor

if TYPE_CHECKING:
    from .trace import Trace

Sum = tuple[tuple[tuple[int, int], ...], int]  # (id of a value, how often), and a constant


class Sizes:
    """The symbols that the trace's ops bind. `names`: all of them; `counts`: their values, as i64 scalars."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.names: set[str] = set()
        self.counts: dict[str, Tensor] = {}
        self._ranges: dict[int, tuple[Value, DimLike | None, DimLike | None]] = {}  # of loops' indices
        # By key: the block in which it was bound, what it stands for, and the values whose ids are in the key.
        self._made: dict[Any, tuple[Block, tuple[Any, ...], Any]] = {}

    def changes(self, body: Block, t: Tensor) -> bool:
        """Whether a loop's body binds a size of the tensor, which may be another one on every trip."""
        used = frozenset[str]().union(*(symbols_of(d) for d in t.type.shape)) & self.names
        return bool(used) and not used.isdisjoint(runtime_sizes(body))

    # ------------------------------------------------------------ slices
    def span(self, t: Tensor, axis: int, start: Any, stop: Any, step: int) -> tuple[Tensor, Dim]:
        """The first element of a slice (an i64 scalar tensor) and the number of elements, as a symbol.

        Args:
          t, axis: what is sliced, and along which dimension.
          start, stop: integer scalar tensors, Python ints, sizes or None.
        """
        dim = t.type.shape[axis]
        key = ("span", str(dim), self._key(start), self._key(stop), step)
        held = (start, stop)
        found = self._lookup(key)
        if found is None:
            if isinstance(dim, int):
                size = self._number(dim)  # no op on an array: a loop's reverse computes bounds again
            else:
                size = self.trace.emit(get("dim"), (t,), {"axis": axis, "dtype": int64})[0]
            low, count = self._bounds(size, self._whole(start), self._whole(stop), step)
            most = dim if abs(step) == 1 else ceildiv(dim, abs(step))
            found = self._keep(key, (low, self.bind(count, most)), held)
        made: tuple[Tensor, Dim] = found
        return made

    def _bounds(self, n: Tensor, start: Any, stop: Any, step: int) -> tuple[Tensor, Tensor]:
        one, zero = self._number(1), self._number(0)
        if step > 0:
            first = zero if start is None else self._inside(start, n, zero, n)
            end = n if stop is None else self._inside(stop, n, zero, n)
            span = self._op("sub", end, first)
        else:
            least, last = self._number(-1), self._op("sub", n, one)
            first = last if start is None else self._inside(start, n, least, last)
            end = least if stop is None else self._inside(stop, n, least, last)
            span = self._op("sub", first, end)
        if abs(step) != 1:
            up = self._op("add", span, self._number(abs(step) - 1))
            span = self._op("floordiv", up, self._number(abs(step)))
        return first, self._op("maximum", span, zero)

    def _inside(self, b: Tensor, n: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """A bound counted from the start and clamped."""
        b = self._op("where", self._op("lt", b, self._number(0)), self._op("add", b, n), b)
        return self._op("minimum", self._op("maximum", b, low), high)

    def _op(self, name: str, *xs: Tensor) -> Tensor:
        return self.trace.emit(get(name), xs, {})[0]

    def _number(self, n: int) -> Tensor:
        return self.trace.constant(np.array(n, np.int64))

    def _whole(self, b: Any) -> Any:
        if b is None:
            return None
        if isinstance(b, int):
            return self._number(b)
        if isinstance(b, Dim):
            return self.of(b)
        return b if b.dtype is int64 else self.trace.emit(get("cast"), (b,), {"dtype": int64})[0]

    # ------------------------------------------------------------ masks
    def selected(self, mask: Tensor) -> Dim:
        """How many elements of a bool vector are true."""
        value = self.trace.value_of(mask)
        key = ("mask", id(value))
        found = self._lookup(key)
        if found is None:
            ones = self.trace.emit(get("cast"), (mask,), {"dtype": int64})[0]
            count = self.trace.emit(get("reduce_sum"), (ones,), {"axes": (0,), "keepdims": False})[0]
            found = self._keep(key, self.bind(count, value.type.shape[0]), (mask, value))
        made: Dim = found
        return made

    # ------------------------------------------------------------ lengths
    def loop(self, index: Value, bounds: Sequence[Tensor]) -> None:
        """Notes what a loop's index lies between, where that is known; a length made of it then has a largest value."""
        (low, _), (_, high), (step, _) = (self._interval(b) for b in bounds)
        if isinstance(step, int) and step < 0:
            (_, high), (low, _) = self._interval(bounds[0]), self._interval(bounds[1])
            self._ranges[id(index)] = (index, None if low is None else low + 1, high)
        elif isinstance(step, int):
            self._ranges[id(index)] = (index, low, None if high is None else high - 1)

    def _interval(self, t: Tensor) -> tuple[DimLike | None, DimLike | None]:
        """Smallest and largest value of an integer scalar, None for one that is not known."""
        static = self.trace.static_of(t)
        if static is not None and not static.ndim:
            n = static[()]
            n = n if isinstance(n, Dim) else int(n)
            return n, n
        terms, c = affine(self.trace.value_of(t))
        low: DimLike | None = c
        high: DimLike | None = c
        for key, times in terms:
            _, least, most = self._ranges.get(key, (None, None, None))
            ends = (least, most) if times > 0 else (most, least)
            low = None if low is None or ends[0] is None else low + ends[0] * times
            high = None if high is None or ends[1] is None else high + ends[1] * times
        return low, high

    def length(self, n: Tensor) -> Dim | None:
        """An integer scalar as the length of an array (nothing for a negative one); None without a known bound."""
        _, most = self._interval(n)
        if most is None:
            return None
        key = ("length", affine(self.trace.value_of(n)))
        found = self._lookup(key)
        if found is None:
            count = self._op("maximum", self._whole(n), self._number(0))
            found = self._keep(key, self.bind(count, max(most, 0) if isinstance(most, int) else most), n)
        made: Dim = found
        return made

    # ------------------------------------------------------------ symbols
    def bind(self, count: Tensor, most: DimLike) -> Dim:
        """A new symbol of the value, which is at most `most`."""
        taken = self.names | self.trace.hints.keys() | bound_symbols(self.trace.function)
        k = len(self.names)
        while f"s{k}" in taken:
            k += 1
        name = f"s{k}"
        self.names.add(name)
        self.counts[name] = count
        self.trace.emit(get("bind"), (count,), {"size": symbol(name), "most": most})
        return symbol(name)

    def of(self, d: DimLike) -> Tensor:
        """A size as an i64 scalar tensor."""
        if isinstance(d, int):
            return self._number(d)
        total: Tensor | None = None
        for atoms, c in d.terms:
            term = self._number(c)
            for a in atoms:
                term = self._op("mul", term, self._atom(d, a))
            total = term if total is None else self._op("add", total, term)
        assert total is not None
        return total

    def _atom(self, d: Dim, name: str) -> Tensor:
        f = d._atoms.get(name)
        if f is not None:
            op = {"max": "maximum", "min": "minimum"}.get(f[0], f[0])
            return self._op(op, self.of(f[1]), self.of(f[2]))
        if name in self.counts:
            return self.counts[name]
        for p in self.trace.function.params:
            for axis, e in enumerate(p.type.shape):
                if str(e) == name:
                    t = SymbolicTensor(p, self.trace)
                    return self.trace.emit(get("dim"), (t,), {"axis": axis, "dtype": int64})[0]
        raise TypeError(f"the size '{name}' cannot be used as the bound of a slice here{at()}")

    def _lookup(self, key: Any) -> Any:
        found = self._made.get(key)
        if found is None:
            return None
        block, _, made = found
        trace = self.trace
        visible = block is trace.function.body or any(b is block for b in trace.open_blocks)
        return made if visible else None

    def _keep(self, key: Any, made: Any, held: Any) -> Any:
        self._made[key] = (self.trace.builder.block, held, made)
        return made

    def _key(self, b: Any) -> Any:
        if b is None or isinstance(b, (int, Dim)):
            return str(b)
        return affine(self.trace.value_of(b))

    # ------------------------------------------------------------ sizes that must be equal
    def fitted(self, op: OpDef, xs: Sequence[Tensor], attrs: dict[str, Any]) -> list[Tensor] | None:
        """Operands whose run-time sizes are checked to be what the op needs; None when it needs something else."""
        out = list(xs)
        if isinstance(op, Elementwise):
            self._fit_broadcast(out)
        elif op.name == "broadcast_to":
            want = tuple(attrs["shape"])
            shape = out[0].type.shape
            lead = len(want) - len(shape)
            if lead < 0:
                return None
            out[0] = self._fit(out[0], tuple(d if d == 1 else w for d, w in zip(shape, want[lead:], strict=True)))
        elif op.name == "reshape":
            want = tuple(attrs["shape"])
            have, wide = [d for d in out[0].type.shape if d != 1], [d for d in want if d != 1]
            if len(have) != len(wide):
                return None
            rest = iter(wide)
            out[0] = self._fit(out[0], tuple(d if d == 1 else next(rest) for d in out[0].type.shape))
        elif op.name == "matmul":
            k = out[0].type.shape[-2 if attrs["transpose_a"] else -1]
            axis = out[1].ndim - (1 if attrs["transpose_b"] else 2)
            shape = out[1].type.shape
            out[1] = self._fit(out[1], (*shape[:axis], k, *shape[axis + 1 :]))
        return out if any(a is not b for a, b in zip(out, xs, strict=True)) else None

    def _fit_broadcast(self, xs: list[Tensor]) -> None:
        rank = max(x.ndim for x in xs)
        for k in range(1, rank + 1):
            dims = [x.type.shape[-k] for x in xs if x.ndim >= k and x.type.shape[-k] != 1]
            if len(set(dims)) < 2:
                continue
            want = next((d for d in dims if isinstance(d, int)), dims[0])
            for i, x in enumerate(xs):
                if x.ndim >= k and x.type.shape[-k] not in (1, want):
                    shape = x.type.shape
                    axis = x.ndim - k
                    xs[i] = self._fit(x, (*shape[:axis], want, *shape[axis + 1 :]))

    def _fit(self, x: Tensor, shape: tuple[DimLike, ...]) -> Tensor:
        concerned = any(
            a != b and not self.names.isdisjoint(symbols_of(a) | symbols_of(b))
            for a, b in zip(x.type.shape, shape, strict=True)
        )
        return self.trace.emit(get("fit"), (x,), {"shape": shape})[0] if concerned else x


def affine(v: Value) -> Sum:
    """An integer scalar as a sum of multiples of values and a constant."""
    terms: dict[int, int] = {}
    total = _collect(v, 1, terms, 8)
    return tuple(sorted((k, c) for k, c in terms.items() if c)), total


def _collect(v: Value, times: int, terms: dict[int, int], depth: int) -> int:
    op = v.owner
    if isinstance(op, Op) and depth and v.type.dtype.is_integer and not v.type.shape:
        name = op.kind.name
        if name == "constant":
            return times * int(op.attrs["value"])
        rule = _SUMS.get(name)
        if rule is not None and not (name == "cast" and not op.operands[0].type.dtype.is_integer):
            return sum(_collect(x, times * c, terms, depth - 1) for x, c in zip(op.operands, rule(op), strict=False))
    terms[id(v)] = terms.get(id(v), 0) + times
    return 0


_SUMS: dict[str, Callable[[Op], Sequence[int]]] = {
    "add": lambda op: (1, 1), "sub": lambda op: (1, -1), "neg": lambda op: (-1,),
    "cast": lambda op: (1,), "identity": lambda op: (1,),
}  # fmt: skip


class Cut(Structure):
    """The outputs of a function of which some have a size that only the run knows: cut to it, then put together.

    `inner`: the structure of what is returned. `cuts`: for each output the dimensions to cut, and where the sizes are
    among the leaves (see `ir.pad.PadInfo`).
    """

    __slots__ = ("cuts", "inner")

    def __init__(self, inner: Structure, cuts: Sequence[Sequence[tuple[int, int]]], sizes: int) -> None:
        self.inner, self.cuts = inner, tuple(cuts)
        super().__init__("cut", None, (self.cuts, inner), ())
        self.size = inner.size + sizes
        self.pack = self._pack

    def _pack(self, leaves: Sequence[Any]) -> Any:
        return self.inner.pack([self._cut(leaves, k) for k in range(self.inner.size)])

    def _cut(self, leaves: Sequence[Any], k: int) -> Any:
        x, cuts = leaves[k], self.cuts[k]
        if not cuts or not isinstance(x, Tensor):
            return x
        key: list[Any] = [slice(None)] * x.ndim
        for axis, n in cuts:
            size = leaves[n]
            key[axis] = slice(0, size if size._constant_value() is None else int(size._constant_value()))
        y = getitem(x, tuple(key))
        return array_of(y) if is_array(x) else y

    def build(self, leaves: Iterator[Any]) -> Any:
        """The structured result from the next leaves."""
        return self._pack([next(leaves) for _ in range(self.size)])
