"""Random programs on integer tensors: compiled, they give what eager Python gives."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.verifier import verify

from .test_rewrite_random import load

NAMES = ("a", "b", "c")
HEADER = "import pullback as pb\n\ndef helper(x, y):\n    if x > y:\n        return x - y\n    return y\n\n"


class Programs:
    """Writes functions of three i32 scalars; every variable is set before it is used and keeps its type."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.count = 0

    def value(self, deep: int = 0) -> str:
        r = self.r
        if deep > 1 or r.random() < 0.4:
            return r.choice([*NAMES, str(r.randint(-2, 5))]) if deep else r.choice(NAMES)
        x, y = r.choice(NAMES), self.value(deep + 1)
        options = [f"({x} + {y})", f"({x} - {y})", f"({x} * {y} % 17)", f"helper({x}, {y})"]
        return r.choice([*options, f"({x} if {self.test()} else {r.choice(NAMES)})"])

    def test(self) -> str:
        r = self.r
        x, y, z = r.choice(NAMES), self.value(2), r.choice(NAMES)
        return r.choice([f"{x} < {y}", f"{x} > {y} and {z} > 2", f"not {x} == {y} or {z} < 1", f"{y} <= {x} < 9"])

    def block(self, depth: int, loop: bool) -> list[str]:
        out: list[str] = []
        for _ in range(self.r.randint(1, 3)):
            out += self.statement(depth, loop)
        return out

    def statement(self, depth: int, loop: bool) -> list[str]:
        r = self.r
        kind = r.randrange(10) if depth < 3 else r.randrange(4)
        name = r.choice(NAMES)
        if kind < 2:
            return [f"{name} = {self.value()}"]
        if kind == 2:
            return [r.choice([f"{name} += {self.value()}", "a, b = b, a - c"])]
        if kind == 3:
            return self.jump(loop)
        body = [f"    {s}" for s in self.block(depth + 1, loop or kind >= 7)]
        other = ["else:", *(f"    {s}" for s in self.block(depth + 1, loop))] if r.random() < 0.5 else []
        if kind < 7:
            return [f"if {self.test()}:", *body, *other]
        if kind == 7:
            self.count += 1
            k = f"k{self.count}"
            head = f"while {k} < {r.randint(1, 4)} and ({self.test()}):"
            return [f"{k} = 0", head, f"    {k} += 1", *body, *other]
        bounds = r.choice(["c % 5", "a % 3, 4", "4, b % 2 - 2, -1", "3"])
        return [f"for i{depth} in pb.range({bounds}):" if bounds == "3" else f"for i{depth} in range({bounds}):",
                f"    {name} = {name} + i{depth}", *body, *other]  # fmt: skip

    def jump(self, loop: bool) -> list[str]:
        options = ["break", "continue"] if loop else []
        word = self.r.choice([*options, f"return {self.value(2)}, {self.r.choice(NAMES)}, a"])
        return [f"if {self.test()}:", f"    {word}"]

    def function(self, k: int) -> str:
        body = [f"def f{k}(a, b, c):", *(f"    {s}" for s in self.block(0, False)), "    return a, b, c"]
        return "\n".join(body) + "\n"


def run(f: Any, args: tuple[int, ...]) -> list[int]:
    return [int(np.asarray(x)) for x in f(*(pb.constant(v) for v in args))]


@pytest.mark.parametrize("seed", range(4))
def test_compiled_programs_do_the_same(seed: int, tmp_path: Path) -> None:
    programs = Programs(seed)
    text = HEADER + "\n".join(programs.function(k) for k in range(15))
    module = load(text, tmp_path / f"tensor_programs_{seed}.py")
    for k in range(15):
        f = getattr(module, f"f{k}")
        g = pb.function(f)
        for args in ((0, 1, 3), (3, -1, 4), (2, 7, 6)):
            assert run(g, args) == run(f, args), f"f{k}{args} in {module.__file__}"
        verify(g.get_concrete_function(*(pb.constant(v) for v in (0, 1, 3))).ir)
