"""`fn.cost`: operations and bytes of each step, counted by hand for programs whose steps are known."""

from __future__ import annotations

from typing import Any

import pytest

import pullback as pb
from pullback.codegen.cost import machine


def test_elementwise() -> None:
    cost = pb.function(lambda x, y: x * y + x).cost("f32[1000], f32[1000]")
    (step,) = cost.steps
    assert (step.name, step.domain, step.times) == ("kernel", (1000,), 1)
    assert step.flops == 2 * 1000
    assert step.bytes == 3 * 4 * 1000
    assert step.intensity == pytest.approx(2 / 12)
    assert step.limit == "memory"


def test_value_and_gradient_go_over_the_data_once() -> None:
    def f(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = pb.reduce_sum(x * x * x)
        return y, tape.gradient(y, x)

    cost = pb.function(f).cost("f64[500]")
    assert cost.bytes == 500 * 8 * 2 + 8
    assert len([s for s in cost.steps if s.domain == (500,)]) == 1


def test_matmul_and_loops() -> None:
    @pb.function
    def f(a: Any, b: Any) -> Any:
        for _ in pb.range(10):
            a = pb.tanh(a @ b)
        return a

    cost = f.cost("f32[64, 32], f32[32, 32]")
    products = [s for s in cost.steps if s.name == "matmul"]
    assert sum(s.flops for s in products) == 10 * 2 * 64 * 32 * 32
    assert {s.times for s in products} == {10}
    assert sum(s.bytes for s in products) == 10 * 4 * (2 * 64 * 32 + 32 * 32)


def test_gradient_and_text() -> None:
    f = pb.function(lambda x: pb.reduce_sum(pb.exp(x)))
    text = str(f.cost("f32[100000]", grad="x"))
    assert "Gflops/s" in text
    assert "100000" in text
    assert "test_cost.py" in text
    rate, bandwidth = machine()
    assert rate > 1e8
    assert bandwidth > 1e7
    cost = f.cost("f32[100000]")
    assert cost.seconds == sum(max(s.flops / rate, s.bytes / bandwidth) for s in cost.steps)


def test_sizes_must_be_numbers() -> None:
    f = pb.function(lambda x: x + 1.0)
    with pytest.raises(ValueError, match=r"needs sizes as numbers, found n: give for example f32\[100\]"):
        f.cost("f32[n]")
