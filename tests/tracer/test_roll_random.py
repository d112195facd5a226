"""Random programs with loops over Python ranges: compiled, they give what Python gives, and its gradients."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.verifier import verify

from .test_rewrite_random import load

HEADER = "import pullback as pb\nweights = [0.5, 0.25, -0.5, 0.75]\n\n"
FLOATS, INTS, TENSORS = ("u", "v"), ("k", "m"), ("s", "t")


class Programs:
    """Writes functions of a vector: tensors s and t, Python floats u and v, ints k and m, indices of loops."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)

    def int(self, indices: list[str]) -> str:
        r = self.r
        a = r.choice([*INTS, *indices, *indices])
        b = r.choice([*INTS, *indices, str(r.randint(1, 4))])
        return r.choice(
            [a, f"({a} + {b}) % 7", f"({a} * {b}) % 5", f"{a} // 3 - 1", f"({a} - {b}) % 4", f"min({a}, 6)"]
        )

    def float(self, indices: list[str]) -> str:
        r = self.r
        a, b = r.choice(FLOATS), r.choice([*FLOATS, "0.5", self.int(indices)])
        return r.choice([f"{a} * 0.5", f"({a} + {b}) * 0.25", f"{b} / 4 - {a} * 0.5", f"abs({a}) * 0.5", f"{a}"])

    def tensor(self, indices: list[str]) -> str:
        r = self.r
        a, b = r.choice(TENSORS), r.choice(TENSORS)
        i = f"x[({self.int(indices)}) % 6]"
        if indices and r.random() < 0.2:
            return f"pb.reduce_sum(x[{indices[-1]} % 3 : {indices[-1]} % 3 + 2])"
        return r.choice([
            f"{a} * 0.5 + {i}", f"{a} * 0.5 - {b} * 0.25", f"pb.sin({a}) + ({self.float(indices)})",
            f"{a} * 0.5 + ({self.int(indices)})", f"{i} * {i}", f"{i} - {b} * 0.5",
        ])  # fmt: skip

    def test(self, indices: list[str]) -> str:
        r = self.r
        i = r.choice([*INTS, *indices])
        return r.choice([
            f"{i} < {r.randint(0, 5)}", f"{i} % 3 == {r.randint(0, 2)}", f"not {i} > 2 or {r.choice(INTS)} < 3",
            f"0 < {i} <= 4 and {r.choice(FLOATS)} < 1.0", f"{r.choice(FLOATS)} > 0.25", f"{r.choice(TENSORS)} > 0.3",
        ])  # fmt: skip

    def statement(self, depth: int, indices: list[str]) -> list[str]:
        r = self.r
        kind = r.randrange(12) if depth < 3 else r.randrange(7)
        if kind < 3:
            return [f"{r.choice(TENSORS)} = {self.tensor(indices)}"]
        if kind == 3:
            return [f"{r.choice(FLOATS)} = {self.float(indices)}"]
        if kind == 4:
            return [r.choice([f"{r.choice(INTS)} = {self.int(indices)}", f"{r.choice(INTS)} += 1"])]
        if kind == 5:
            return [f"s = s * weights[{indices[-1]} % 4]"] if indices and r.random() < 0.3 else ["k, m = m, k"]
        if kind == 6:
            word = r.choice(["break", "continue"]) if indices else f"return {r.choice(TENSORS)}, s, t * u, s * m, k"
            return [f"if {self.test(indices)}:", f"    {word}"]
        if kind < 9:
            body = self.block(depth + 1, indices)
            other = ["else:", *self.block(depth + 1, indices)] if r.random() < 0.5 else []
            return [f"if {self.test(indices)}:", *body, *other]
        i = f"i{depth}"
        bounds = ["7", "2, 9", "8, 0, -1", "0, 12, 2", *([f"{indices[-1]}", f"{indices[-1]}, 6"] if indices else [])]
        body = self.block(depth + 1, [*indices, i])
        other = ["else:", *self.block(depth + 1, indices)] if r.random() < 0.2 else []
        return [f"for {i} in range({r.choice(bounds)}):", *body, *other]

    def block(self, depth: int, indices: list[str]) -> list[str]:
        out: list[str] = []
        for _ in range(self.r.randint(1, 3)):
            out += self.statement(depth, indices)
        return [f"    {line}" for line in out]

    def function(self, number: int) -> str:
        start = "    s, t, u, v, k, m = x[0], x[1] * x[2], 0.5, -1.0, 0, 3"
        lines = [f"def f{number}(x):", start]
        lines += [*self.block(1, []), *self.block(1, []), "    return s, t, s * u + v, t * k, m"]
        return "\n".join(lines) + "\n"


def run(f: Any, x: Any) -> tuple[list[Any], Any]:
    with pb.GradientTape() as tape:
        tape.watch(x)
        out = f(x)
        loss = pb.add_n(
            [
                pb.reduce_sum(pb.cast(y, pb.float64))
                for y in pb.nest.flatten(out)
                if hasattr(y, "dtype") and y.dtype.is_floating
            ]
        )
    return [np.asarray(y) for y in pb.nest.flatten(out)], tape.gradient(loss, x)


@pytest.mark.parametrize("seed", range(8))
def test_compiled_programs_do_the_same(seed: int, tmp_path: Path) -> None:
    programs = Programs(seed)
    text = HEADER + "\n".join(programs.function(k) for k in range(12))
    module = load(text, tmp_path / f"rolled_programs_{seed}.py")
    x = pb.constant([0.3, -0.7, 0.9, 0.1, -0.2, 0.5], pb.float64)
    for k in range(12):
        f = getattr(module, f"f{k}")
        g = pb.function(f)
        expected, grad = run(f, x)
        found, compiled_grad = run(g, x)
        assert len(expected) == len(found)
        for e, y in zip(expected, found, strict=True):
            np.testing.assert_allclose(y, e, rtol=1e-6, atol=1e-9, err_msg=f"f{k} in {module.__file__}")
        assert (grad is None) == (compiled_grad is None)
        if grad is not None:
            np.testing.assert_allclose(compiled_grad, grad, rtol=1e-9, atol=1e-9, err_msg=f"f{k} in {module.__file__}")
        verify(g.get_concrete_function(x).ir)
