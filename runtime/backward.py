"""The reverse sweep over what a tape recorded.

A record is `(op, attrs, operands, results)`. The sweep keeps one running cotangent per tensor, visits the records
that lie between the sources and the targets backwards, and applies each op's `vjp` rule. With the raw builder
everything is plain arrays and a running cotangent that the sweep made itself is added to in place, so that n reads of
an array cost O(n); with the eager builder the rules run as ordinary ops, for outer tapes and traces.

Complex numbers follow TensorFlow: the gradient of a real loss is d/dRe + i d/dIm, for which the rule of a holomorphic
op is applied to the conjugate cotangent and its answer conjugated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..ir.builder import RawBuilder
from ..ir.chosen import Pair, joined, shares, whole
from ..ir.derive import fit
from ..ir.dtypes import _BY_NP as BY_NUMPY
from ..ir.dtypes import DType, as_dtype
from ..ir.opdef import Into, NoGradient, OpDef, get
from ..ir.quiet import enter, leave
from .eager_builder import EAGER
from .location import at
from .pull import RULES, summed

Record = tuple[Any, Any, Sequence[Any], Sequence[Any]]
_ADD_AT, _SCATTER = get("add_at"), get("scatter_add")


class SweepBuilder(RawBuilder):
    """The raw builder, which adds into arrays in place where the sweep owns them."""

    def __init__(self) -> None:
        self.owned: dict[int, Any] = {}

    def own(self, a: Any) -> None:
        """The array was made by the sweep and nobody else has it."""
        self.owned[id(a)] = a

    def shape(self, x: Any) -> Any:
        """The array's shape."""
        return x.shape

    def dtype(self, x: Any) -> DType:
        """The array's dtype."""
        return BY_NUMPY.get(x.dtype) or as_dtype(x.dtype)

    def apply(self, op: OpDef, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
        """The op's NumPy meaning; slot additions to an owned array happen in place."""
        if op is _ADD_AT and id(operands[0]) in self.owned and None not in attrs["starts"]:
            slot = get("slice").eager({**attrs, "sizes": np.shape(operands[1])}, operands[0])
            np.add(slot, operands[1], out=slot)
            return operands[0]
        if op is _SCATTER and id(operands[0]) in self.owned and attrs == {"axis": 0, "batch_dims": 0}:
            np.add.at(operands[0], operands[1], operands[2])
            return operands[0]
        return op.eager(attrs, *operands)


class Cotangents:
    """The running cotangents, by the identity of the tensors, and where those hold that `where` chose."""

    __slots__ = ("b", "masks", "raw", "values")

    def __init__(self, builder: Any, raw: bool) -> None:
        self.b, self.raw = builder, raw
        self.values: dict[int, Any] = {}
        self.masks: dict[int, Any] = {}

    def add(self, key: int, g: Any, mask: Any = None) -> None:
        """Adds a share, which may hold only where a mask says so; see `ir/chosen.py`."""
        running = self.values.get(key)
        if mask is not None or key in self.masks:
            if running is not None:
                was, old = self.masks.pop(key, None), running
                g, running, mask = joined(self.b, g, mask, running, was)
                if self.raw and running is not old:
                    self.b.owned.pop(id(old), None)
            if mask is not None:
                self.masks[key] = mask
        if self.raw:
            self.values[key] = self._add_raw(running, g)
        elif isinstance(g, Into):
            self.values[key] = g.start() if running is None else g.add(running)
        else:
            self.values[key] = g if running is None else running + g

    def _add_raw(self, running: Any, g: Any) -> Any:
        b: SweepBuilder = self.b
        if isinstance(g, Into):
            if running is None or id(running) not in b.owned:
                new = g.start() if running is None else g.add(running)
                if type(new) is np.ndarray and new.flags.owndata and new.flags.writeable:
                    b.own(new)
                return new
            return g.add(running)
        return g if running is None else summed(running, g, b.owned)

    def _whole(self, key: int, running: Any) -> Any:
        mask = self.masks.pop(key, None)
        if self.raw and mask is not None:
            self.b.owned.pop(id(running), None)
        return whole(self.b, running, mask)

    def settle(self) -> None:
        """Makes all running cotangents arrays that hold everywhere."""
        for key in list(self.masks):
            self.values[key] = self._whole(key, self.values[key])

    def look(self, key: int) -> Any:
        """The cotangent of a source on the way: it stays, and nothing may be added to it in place any more."""
        g = self.values.get(key)
        if key in self.masks:
            g = self.values[key] = self._whole(key, g)
        if self.raw and g is not None:
            self.b.owned.pop(id(g), None)
        return g

    def take(self, key: int) -> Any:
        """The cotangent, which is not needed here any more."""
        g = self.values.pop(key, None)
        self.masks.pop(key, None)
        if self.raw and g is not None:
            self.b.owned.pop(id(g), None)
        return g


def connected(records: Iterable[Record], sources: Iterable[int]) -> tuple[list[Record], set[int]]:
    """The records that depend on the sources, and the identities of all tensors that do."""
    reach = set(sources)
    active = []
    for record in records:
        for x in record[2]:
            if id(x) in reach:
                active.append(record)
                reach.update(map(id, record[3]))
                break
    return active, reach


def sweep(
    records: list[Record], seeds: Sequence[tuple[int, Any]], sources: set[int], raw: bool, reach: Any = None
) -> dict[int, Any]:
    """The cotangents, those of the sources among them: arrays when `raw`, else tensors; of what is not reached, none.

    Args:
      records: in the order of execution. seeds: identities of targets with their cotangents. sources: identities.
      reach: the identities of all tensors that depend on the sources, where all records are known to do so.

    Raises:
      LookupError: an op on the way has no derivative rule.
    """
    if reach is None:
        records, reach = connected(records, sources)
    cts = Cotangents(SweepBuilder() if raw else EAGER, raw)
    for key, g in seeds:
        if key in cts.values:
            cts.add(key, g)
        elif key in reach:
            cts.values[key] = g
    if raw:
        token = enter()
        try:
            _run_raw(records, cts, reach, sources)
        finally:
            leave(token)
    else:
        for record in reversed(records):
            _step(record, cts, reach, sources)
        cts.settle()
    return cts.values


def _run_raw(records: list[Record], cts: Cotangents, reach: Any, wanted: set[int]) -> None:
    """The sweep over arrays: simple ops on floats by the rules of `pull.py`, all others by `_step`."""
    values, masks, owned = cts.values, cts.masks, cts.b.owned
    for record in reversed(records):
        op, _, xs, outs = record
        rule = RULES.get(op)
        if rule is None or masks:
            _step(record, cts, reach, wanted)
            continue
        y = outs[0]
        key = id(y)
        g = values.get(key) if key in wanted else values.pop(key, None)
        if g is None:
            continue
        if g.dtype.kind != "f":
            values[key] = g
            _step(record, cts, reach, wanted)
            continue
        if owned:
            owned.pop(id(g), None)
        rule(g, y._data, xs, reach, values, owned)
    if masks:
        cts.settle()


def _step(record: Record, cts: Cotangents, reach: Any, wanted: set[int]) -> None:
    """One record of any op, on arrays or tensors."""
    op, attrs, xs, outs = record
    gs: list[Any] = []
    found = False
    masks: Any = None
    for o in outs:
        key = id(o)
        mask = cts.masks.get(key) if cts.masks else None
        if mask is not None:
            masks = masks or {}
            masks[len(gs)] = mask
        g = cts.look(key) if key in wanted else cts.take(key)
        found = found or g is not None
        gs.append(g)
    if not found:
        return
    needs = [id(x) in reach for x in xs]
    ys, vs = ([o._data for o in outs], [x._data for x in xs]) if cts.raw else (outs, xs)
    if masks is not None or getattr(op, "picks", None):
        _add_pairs(op, cts, attrs, ys, vs, gs, masks or {}, needs, xs)
        return
    for x, g, need in zip(xs, _shares(op, cts.b, attrs, ys, vs, gs, needs), needs, strict=True):
        if g is not None and need:
            cts.add(id(x), g)


def _add_pairs(
    op: Any, cts: Cotangents, attrs: Any, ys: Any, vs: Any, gs: list[Any], masks: dict[int, Any], needs: list[bool],
    xs: Sequence[Any],
) -> None:  # fmt: skip
    """The shares of an op that chooses, or whose cotangent was chosen."""
    b = cts.b
    where = [masks.get(i) for i in range(len(gs))]
    if any(g is not None and g.dtype.kind == "c" for g in gs):
        gs = [whole(b, g, m) for g, m in zip(gs, where, strict=True)]
        pairs: Iterable[Pair] = ((g, None) for g in _shares(op, b, attrs, ys, vs, gs, needs))
    else:
        try:
            pairs = shares(b, op, attrs, ys, vs, gs, where, needs)
        except NoGradient as e:
            raise _no_rule(e) from e
    for x, v, (g, m), need in zip(xs, vs, pairs, needs, strict=True):
        if g is not None and need:
            cts.add(id(x), g if type(g) is Into else fit(b, g, v), m)


def _shares(
    op: Any, b: Any, attrs: Any, outs: Sequence[Any], xs: Sequence[Any], gs: list[Any], needs: list[bool]
) -> Sequence[Any]:
    """The cotangents of the operands of one op, brought to the operands' shapes."""
    for g in gs:
        if g is not None and g.dtype.kind == "c" and not getattr(op, "wirtinger", False):
            return _conjugated(op, b, attrs, outs, xs, gs, needs)
    shares = _vjp(op, b, attrs, outs, xs, gs, needs)
    for g, x in zip(shares, xs, strict=True):
        if g is not None and type(g) is not Into and b.shape(g) != b.shape(x):
            break
    else:
        return shares
    return [g if g is None or type(g) is Into else fit(b, g, x) for g, x in zip(shares, xs, strict=True)]


def _conjugated(
    op: Any, b: Any, attrs: Any, outs: Sequence[Any], xs: Sequence[Any], gs: list[Any], needs: list[bool]
) -> Sequence[Any]:
    """The rule of a holomorphic op on conjugate cotangents."""
    found = _vjp(op, b, attrs, outs, xs, [_conj(g, b) for g in gs], needs)
    made = [g.start() if isinstance(g, Into) else g for g in found]
    return [_conj(g if g is None else fit(b, g, x), b) for g, x in zip(made, xs, strict=True)]


def _vjp(op: Any, b: Any, attrs: Any, outs: Any, xs: Any, gs: Any, needs: Any) -> Sequence[Any]:
    try:
        return op.vjp(b, attrs, outs, xs, gs, needs)  # type: ignore[no-any-return]
    except NoGradient as e:
        raise _no_rule(e) from e


def _no_rule(e: NoGradient) -> LookupError:
    return LookupError(f"gradient registry has no entry for: {e}{at()}")


def _conj(g: Any, b: Any) -> Any:
    if g is None or g.dtype.kind != "c":
        return g
    if isinstance(b, RawBuilder):
        return np.conj(g)
    from .ops_complex import conj

    return conj(g)
