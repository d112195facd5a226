"""What a loop over elements reads and writes: scalars in terms of the trip, elements of arrays at places affine in
it.

A `for` with known bounds is seen as trips t = 0, 1, ..., counted so that the loop's index grows with t, whichever way
the loop runs. An integer of the body is affine if it is a*t + b; an access is the one element of an array whose place
along one axis is so, and the same in all trips along the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from .graph import Op, Value
from .ranges import dtype_range
from .trips import number

Affine = tuple[int, int]  # a, b of a*t + b
WRITES = frozenset({"update", "add_at"})


@dataclass(frozen=True, slots=True)
class Access:
    """An element that an op (slice, update, add_at) reads or writes: a*t + b along `axis`.

    Attributes:
      starts: per axis a number, or the value that holds it; None along `axis`.
    """

    op: Op
    axis: int
    a: int
    b: int
    starts: tuple[int | Value | None, ...]


class Trips:
    """The trips of a `for` with known bounds.

    Attributes:
      count: how many. down: whether the loop's index falls from trip to trip, so that t does. first, step: the index is
      step*t + first. inside: values that its body defines.
    """

    def __init__(self, op: Op) -> None:
        self.op = op
        self.body = op.regions[0]
        self.inside = {*self.body.params, *(r for x in self.body.ops for r in x.results)}
        known = [number(v) for v in op.operands[:3]]
        bounds = [n for n in known if n is not None]
        indices = range(*bounds) if len(bounds) == 3 and bounds[2] else range(0)
        self.count = len(indices)
        self.down = bool(indices) and indices[0] > indices[-1]
        self.first = min(indices[0], indices[-1]) if indices else 0
        self.step = abs(indices.step)
        self._affine: dict[Value, Affine | None] = {}

    def flip(self) -> None:
        """Counts t from the other end: the multiples of t change their signs."""
        self.first += self.step * (self.count - 1)
        self.step, self.down = -self.step, not self.down
        self._affine = {}

    def affine(self, v: Value) -> Affine | None:
        """(a, b) where an integer scalar is a*t + b in every trip and nothing on the way wraps round."""
        if v not in self._affine:
            self._affine[v] = None
            self._affine[v] = self._checked(v)
        return self._affine[v]

    def _checked(self, v: Value) -> Affine | None:
        if v.type.size != 1 or v.type.dtype.short not in ("i32", "i64"):
            return None
        found = self._find(v)
        if found is None:
            return None
        a, b = found
        low, high = dtype_range(v)
        return found if all(low <= a * t + b <= high for t in (0, self.count - 1)) else None

    def _find(self, v: Value) -> Affine | None:
        if v is self.body.params[0]:
            return self.step, self.first
        op = v.owner
        if not isinstance(op, Op):
            return None
        name = op.kind.name
        if name == "constant":
            return 0, int(op.attrs["value"].flat[0])
        if name not in ("add", "sub", "mul", "neg", "cast", "identity", "reshape") or v not in self.inside:
            return None
        known = [self.affine(x) for x in op.operands]
        xs = [x for x in known if x is not None]
        if len(xs) < len(known):
            return None
        return _combined(name, xs)

    def access(self, op: Op) -> Access | None:
        """The access of a slice, update or add_at; None unless it is one element that moves along exactly one axis."""
        writes = op.kind.name in WRITES
        shape: tuple[int, ...] = op.operands[0].type.shape  # type: ignore[assignment]
        if not op.operands[0].type.is_static:
            return None
        sizes = op.operands[1].type.shape if writes else op.attrs["sizes"]
        if any(n != 1 for n in sizes):
            return None
        dynamic = iter(op.operands[2 if writes else 1 :])
        starts: list[int | Value | None] = []
        moving: list[tuple[int, Affine]] = []
        for axis, start in enumerate(op.attrs["starts"]):
            place = next(dynamic) if start is None else start
            found = self.affine(place) if isinstance(place, Value) else (0, place)
            if found is None:
                if place in self.inside:
                    return None
                starts.append(place)
            elif found[0]:
                moving.append((axis, found))
                starts.append(None)
            else:
                starts.append(found[1])
        if len(moving) != 1:
            return None
        axis, (a, b) = moving[0]
        fits = all(0 <= a * t + b < shape[axis] for t in (0, self.count - 1))
        known = all(0 <= s < shape[k] for k, s in enumerate(starts) if isinstance(s, int))
        return Access(op, axis, a, b, tuple(starts)) if fits and known else None

    def order(self, x: Access, y: Access) -> int | None:
        """Which of two accesses to one array comes first, where both are to the same element.

        -1 or 1 where x's comes before or after y's, 0 in the same trip, None where they never meet. Raises ValueError
        where it is now this one and now that one, or cannot be said.
        """
        if x.axis != y.axis or x.a != y.a:
            raise ValueError
        for s, r in zip(x.starts, y.starts, strict=True):
            if isinstance(s, int) and isinstance(r, int):
                if s != r:
                    return None
            elif s is not r:
                raise ValueError
        if (x.b - y.b) % x.a:
            return None
        later = (x.b - y.b) // x.a  # x's element of trip t is y's of trip t + later
        if abs(later) >= self.count:
            return None
        return (later < 0) - (later > 0) if not self.down else (later > 0) - (later < 0)


def _combined(name: str, xs: list[Affine]) -> Affine | None:
    (a, b), (c, d) = xs[0], xs[-1]
    if name == "add":
        return a + c, b + d
    if name == "sub":
        return a - c, b - d
    if name == "mul":
        return None if a and c else (a * d + c * b, b * d)
    return (-a, -b) if name == "neg" else (a, b)
