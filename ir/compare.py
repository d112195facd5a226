"""Whether two functions are the same program: structure, types, attributes and locations, not the names of values."""

from __future__ import annotations

from .graph import Block, Function, Op, Value
from .literals import print_attr


def same(f: Function, g: Function, locations: bool = True) -> bool:
    """Whether two functions, and those that they call, are equal; all NaNs count as one."""
    return Comparison(locations).functions(f, g)


class Comparison:
    """Pairs of values and functions that were found to correspond."""

    def __init__(self, locations: bool) -> None:
        self.locations = locations
        self.values: dict[Value, Value] = {}
        self.callees: dict[int, Function] = {}

    def functions(self, f: Function, g: Function) -> bool:
        """Whether two functions correspond."""
        if id(f) in self.callees:
            return self.callees[id(f)] is g
        self.callees[id(f)] = g
        return f.name == g.name and self.blocks(f.body, g.body)

    def blocks(self, a: Block, b: Block) -> bool:
        """Whether two blocks correspond."""
        if len(a.ops) != len(b.ops) or not self._define(a.params, b.params):
            return False
        return all(self.ops(x, y) for x, y in zip(a.ops, b.ops, strict=True))

    def _define(self, a: list[Value], b: list[Value]) -> bool:
        if [v.type for v in a] != [v.type for v in b]:
            return False
        self.values.update(zip(a, b, strict=True))
        return True

    def ops(self, a: Op, b: Op) -> bool:
        """Whether two ops correspond."""
        if a.kind is not b.kind or (self.locations and a.loc != b.loc) or len(a.regions) != len(b.regions):
            return False
        if [self.values.get(v) for v in a.operands] != b.operands or a.attrs.keys() != b.attrs.keys():
            return False
        if not all(self._attrs(a.attrs[k], b.attrs[k]) for k in a.attrs):
            return False
        return all(self.blocks(x, y) for x, y in zip(a.regions, b.regions, strict=True)) and self._define(
            a.results, b.results
        )

    def _attrs(self, x: object, y: object) -> bool:
        if isinstance(x, Function) and isinstance(y, Function):
            return self.functions(x, y)
        return type(x) is not Function and type(y) is not Function and print_attr(x) == print_attr(y)
