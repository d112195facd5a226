"""A loop that another one repeats, or repeats while it computes more, is computed once.

A tape inside a compiled function leaves two loops: the one that the user wrote, and the same with residuals carried
along for the reverse. Where all that is used of the first is among what the second carries, the second takes its
place. That the two compute the same is found by walking both bodies: carried values are taken to be equal as their
starts are, ops on equal operands give equal results, and a pair for which the next trip's values differ is dropped.
What else the first loop carries (a sum that no residual depends on) the second one is given to carry, too.
Loops that count up are first written to count 0, 1, 2, ..., as the reverse writes those that it goes through.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from .activity import is_loop
from .attrs import attrs_key
from .control import FOR, IF, has_effect
from .failing import may_fail
from .graph import Block, Function, Op, Value, clone_function, clone_op, uses
from .rewrite import inputs, keep_name
from .trips import normalise, number
from .types import StackType

Same = dict[Value, Value]


def merge_loops(fn: Function) -> Function:
    """A copy of the function in which no loop repeats what another one of its block computes, too."""
    if not _several(fn):
        return fn
    new = clone_function(fn)
    _block(new.body)
    return new


def count_up(fn: Function) -> Function:
    """A copy of the function, if it has several loops, in which those that count up do so from 0 in steps of 1."""
    if not _several(fn):
        return fn
    new = clone_function(fn)
    _count_up(new.body)
    return new


def _several(fn: Function) -> bool:
    return sum(is_loop(op) for op in fn.body.walk()) > 1


def _count_up(block: Block) -> None:
    for op in list(block.ops):
        for r in op.regions:
            _count_up(r)
        if op.kind is FOR and None not in map(number, op.operands[:3]) and (number(op.operands[2]) or 0) > 0:
            normalise(block, op)


def _block(block: Block) -> None:
    for op in block.ops:
        for r in op.regions:
            _block(r)
    loops = [op for op in block.ops if is_loop(op) and not has_effect(op)]
    for op in loops:
        _carry_once(block, op)
    for small in list(loops):
        for large in loops:
            if large is not small and large.kind is small.kind and _replace(block, small, large):
                loops.remove(small)
                break


def _carry_once(block: Block, loop: Op) -> None:
    """Lets what a loop carries twice be used once: two derivatives may each have saved the same."""
    first, n = (3, 1) if loop.kind is FOR else (0, 0)
    earlier: dict[Value, list[int]] = {}
    same: Same = {}
    body = loop.regions[-1]
    given = body.terminator.operands
    for j, start in enumerate(loop.operands[first:]):
        group = earlier.setdefault(start, [])
        for i in group if not isinstance(start.type, StackType) else ():
            if not _alike(given[j], given[i]):
                continue
            known = {r.params[n + j]: r.params[n + i] for r in loop.regions}
            _walk(body, body, known)
            if _agree(body, body, j, i, known):
                same.update({r.params[n + j]: r.params[n + i] for r in loop.regions})
                same[loop.results[j]] = loop.results[i]
                break
        else:
            group.append(j)
    for op in block.walk() if same else ():
        op.operands[:] = [same.get(v, v) for v in op.operands]


def _alike(a: Value, b: Value) -> bool:
    """Whether two values can be equal at all, by what makes them: a walk through the body decides."""
    x, y = a.owner, b.owner
    return a is b or (x.kind is y.kind if isinstance(x, Op) and isinstance(y, Op) else x is y)


def _replace(block: Block, small: Op, large: Op) -> bool:
    """Lets the large loop stand for the small one, where that is or before, if it gives all that is used of it."""
    found = match(small, large, {})
    used = uses(block) if found else {}
    missing = [i for i, r in enumerate(small.results) if r in used and r not in found]
    at, end = block.ops.index(small), block.ops.index(large)
    graft = _Graft(small, large, found) if found and missing and at < end else None
    if not found or (missing and (graft is None or not graft.takes(missing))):
        return False
    between = block.ops[at:end]
    if any(map(has_effect, between)) and may_fail(large):
        return False  # what is printed before an error must be printed
    before = _before(between, large) if at < end else []
    if before is None:
        return False
    if at < end:
        moved = {id(large), *map(id, before)}
        rest = [op for op in block.ops[at + 1 :] if id(op) not in moved]
        block.ops = [*block.ops[:at], *before, large, *rest]
    else:
        del block.ops[at]
    if graft is not None:
        found = found | graft.write()
    for r in small.results:
        for op, i in used.get(r, ()):
            op.operands[i] = found[r]
            keep_name(found[r], r)
    return True


class _Graft:
    """What one `for` carries and another one, which computes part of the same, does not: to be carried by that.

    Attributes:
      known: values of the first body that have equals in the second. ops: what the second body is to get, in order.
    """

    def __init__(self, small: Op, large: Op, found: Same) -> None:
        self.small, self.large = small, large
        self.known: Same = {}
        self.carried: list[int] = []
        self.ops: list[Op] = []
        if small.kind is FOR:
            x, y = small.regions[0], large.regions[0]
            self.known[x.params[0]] = y.params[0]
            for i, r in enumerate(small.results):
                if r in found:
                    self.known[x.params[1 + i]] = y.params[1 + large.results.index(found[r])]
            _walk(x, y, self.known)

    def takes(self, numbers: Iterable[int]) -> bool:
        """Whether the carried values of these numbers, and what they need, can be grafted."""
        if self.small.kind is not FOR:
            return False
        body = self.small.regions[0]
        own = {r: op for op in body.ops for r in op.results}
        params = {p: i for i, p in enumerate(body.params[1:])}
        wanted: set[int] = set()
        todo: list[Value] = []

        def carry(i: int) -> None:
            if i not in self.carried:
                self.carried.append(i)
                todo.append(body.terminator.operands[i])

        for i in numbers:
            carry(i)
        while todo:
            v = todo.pop()
            if isinstance(v.type, StackType):
                return False
            if v in self.known or (v not in own and v not in params):
                continue
            if v in params:
                carry(params[v])
            elif id(own[v]) not in wanted:
                if own[v].regions or own[v].kind.effect:
                    return False
                wanted.add(id(own[v]))
                todo += own[v].operands
        self.ops = [op for op in body.ops if id(op) in wanted]
        return True

    def write(self) -> Same:
        """Adds to the second loop; gives its results that stand for the first one's."""
        x, y = self.small.regions[0], self.large.regions[0]
        for i in self.carried:
            self.large.operands.append(self.small.operands[3 + i])
            param = x.params[1 + i]
            self.known[param] = y.add_param(param.type, param.name)
        # Each op comes as early as it can: behind a write in place, what it reads would have to be a copy.
        place = {r: k for k, op in enumerate(y.ops) for r in op.results}
        behind: dict[int, list[Op]] = {}
        for op in self.ops:
            new = clone_op(op, self.known)
            k = max((place.get(v, -1) for v in new.operands), default=-1)
            place.update(dict.fromkeys(new.results, k))
            behind.setdefault(k, []).append(new)
        y.ops = [*behind.get(-1, ()), *(o for k, op in enumerate(y.ops) for o in (op, *behind.get(k, ())))]
        given = x.terminator.operands
        found: Same = {}
        for i in self.carried:
            y.terminator.operands.append(self.known.get(given[i], given[i]))
            self.large.results.append(Value(self.small.results[i].type, "", self.large))
            found[self.small.results[i]] = self.large.results[-1]
        return found


def _before(ops: list[Op], large: Op) -> list[Op] | None:
    """Those of the ops before the loop that it needs, if they may stand before the first of them."""
    needed = set(inputs(large))
    out = []
    for op in reversed(ops):
        if any(r in needed for r in op.results):
            if op is ops[0] or has_effect(op) or any(isinstance(v.type, StackType) for v in op.operands):
                return None
            needed.update(inputs(op))
            out.append(op)
    return out[::-1]


def match(a: Op, b: Op, same: Same) -> Same:
    """The results of a region op that equal results of another one, where `same` says which outer values are equal."""
    first = {"for": 3, "if": 1}.get(a.kind.name, 0)
    if a.kind is not b.kind or [same.get(v, v) for v in a.operands[:first]] != b.operands[:first]:
        return {}
    if a.kind is IF:
        return _branches(a, b, same)
    pairs = _pairs(a.operands[first:], b.operands[first:], same)
    while pairs:
        known = dict(same)
        n = 1 if a.kind is FOR else 0
        for x, y in zip(a.regions, b.regions, strict=True):
            known.update(zip(x.params[:n], y.params[:n], strict=True))
            known.update((x.params[n + i], y.params[n + j]) for i, j in pairs.items())
            _walk(x, y, known)
        if a.kind is not FOR and not _agree(a.regions[0], b.regions[0], 0, 0, known):
            return {}
        right = {i: j for i, j in pairs.items() if _agree(a.regions[-1], b.regions[-1], i, j, known)}
        if len(right) == len(pairs):
            break
        pairs = right
    return {a.results[i]: b.results[j] for i, j in pairs.items()}


def _pairs(a: list[Value], b: list[Value], same: Same) -> dict[int, int]:
    """Carried values of equal starts, in order, each taken once."""
    out: dict[int, int] = {}
    free = list(range(len(b)))
    for i, v in enumerate(a):
        found = next((j for j in free if same.get(v, v) is b[j]), None)
        if found is not None:
            out[i] = found
            free.remove(found)
    return out


def _agree(a: Block, b: Block, i: int, j: int, known: Same) -> bool:
    """Whether what the blocks give as number i and j is equal."""
    v = a.terminator.operands[i]
    return known.get(v, v) is b.terminator.operands[j]


def _branches(a: Op, b: Op, same: Same) -> Same:
    known = [dict(same), dict(same)]
    for x, y, k in zip(a.regions, b.regions, known, strict=True):
        _walk(x, y, k)
    out: Same = {}
    for i, r in enumerate(a.results):
        for j, other in enumerate(b.results):
            if all(_agree(x, y, i, j, k) for x, y, k in zip(a.regions, b.regions, known, strict=True)):
                out[r] = other
                break
    return out


def _walk(a: Block, b: Block, known: Same) -> None:
    """Adds what the ops of block `a` have equals for in block `b`."""
    table: dict[Hashable, Op] = {}
    regions: list[Op] = []
    for op in b.ops[:-1]:
        if op.regions:
            regions.append(op)
        else:
            table.setdefault(_key(op, op.operands), op)
    for op in a.ops[:-1]:
        if not op.regions:
            other = table.get(_key(op, [known.get(v, v) for v in op.operands]))
            if other is not None:
                known.update(zip(op.results, other.results, strict=True))
            continue
        for candidate in regions:
            found = match(op, candidate, known)
            if found:
                known.update(found)
                regions.remove(candidate)
                break


def _key(op: Op, operands: Iterable[Value]) -> Hashable:
    return op.kind.name, tuple(map(id, operands)), attrs_key(op.attrs), tuple(r.type for r in op.results)
