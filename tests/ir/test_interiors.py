"""Sums into shifted boxes: the interior at once and the slabs around it, to the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.graph import Function
from pullback.ir.interiors import IN_LOOP, interiors
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse
from pullback.ir.verifier import verify

RNG = np.random.default_rng(11)


def dims(shape: Sequence[int]) -> str:
    return "f64[" + ", ".join(map(str, shape)) + "]"


def chain(whole: Sequence[int], boxes: Sequence[Sequence[tuple[int, int]]]) -> Function:
    """Adds a value of its own into each box."""
    shapes = [tuple(end - first for first, end in box) for box in boxes]
    params = ", ".join([f"%g0: {dims(whole)}", *(f"%v{k}: {dims(s)}" for k, s in enumerate(shapes))])
    ones = [1] * len(whole)
    starts = [[first for first, _ in box] for box in boxes]
    lines = [
        f"  %g{k + 1} = add_at %g{k}, %v{k} {{starts = {start}, strides = {ones}}} : {dims(whole)}"
        for k, start in enumerate(starts)
    ]
    text = [f"func @f({params}) -> {dims(whole)} {{", *lines, f"  return %g{len(boxes)}", "}"]
    return parse("\n".join(text) + "\n")


def check(fn: Function, rewritten: bool = True) -> None:
    new = interiors(fn)
    verify(new)
    assert (new is not fn) is rewritten
    xs = [RNG.standard_normal([int(d) for d in p.type.shape]) * 10.0 ** RNG.integers(-9, 9) for p in fn.params]
    (found,), (expected,) = interpret(new, xs), interpret(fn, xs)
    np.testing.assert_array_equal(found, expected)


def shifted(n: int, m: int, shifts: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    size = (n - 2, m - 2)
    return [[(1 + s, 1 + s + d) for s, d in zip(shift, size, strict=True)] for shift in shifts]


CROSS = [(0, 0), (0, -1), (0, 1), (1, 0), (-1, 0)]


@pytest.mark.parametrize(
    "shifts", [CROSS, CROSS[::-1], CROSS[2:], [(0, 0), (1, 1), (-1, -1), (-1, 1), (1, -1)], [(0, 0), (0, 0), (1, 0)]]
)
def test_shifted_boxes(shifts: Any) -> None:
    check(chain((300, 260), shifted(300, 260, shifts)))


def test_boxes_of_any_size() -> None:
    """Random boxes, not only shifted ones: some inside of others, some that touch the border."""
    for _ in range(30):
        whole = [int(k) for k in RNG.integers(60, 64, 3)]
        boxes = [
            [(int(RNG.integers(0, 5)), n - int(RNG.integers(0, 5))) for n in whole] for _ in range(RNG.integers(3, 8))
        ]
        if any(b != boxes[0] for b in boxes):
            check(chain(whole, boxes))


@pytest.mark.parametrize(
    "fn",
    [
        chain((300, 260), shifted(300, 260, CROSS[:2])),                   # too few
        chain((40, 40), shifted(40, 40, CROSS)),                           # too small for once
        chain((300, 260), [[(0, 299), (0, 260)]] * 4),                     # nothing outside
        chain((300, 260), [[(0, 300), (0, 10)], [(0, 300), (5, 260)], [(0, 300), (0, 260)]]),  # little in common
    ],
)  # fmt: skip
def test_left_alone(fn: Function) -> None:
    check(fn, False)


def test_a_value_that_somebody_else_needs_ends_the_chain() -> None:
    text = str(chain((300, 260), shifted(300, 260, CROSS)))
    both = text.replace(f"-> {dims((300, 260))} {{", f"-> ({dims((300, 260))}, {dims((300, 260))}) {{")
    fn = parse(both.replace("return %g5", "return %g5, %g3"))
    assert interiors(fn) is not fn
    xs = [RNG.standard_normal([int(d) for d in p.type.shape]) for p in fn.params]
    for found, expected in zip(interpret(interiors(fn), xs), interpret(fn, xs), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n", [12, 64])
def test_the_gradient_of_a_stencil_in_a_loop(n: int) -> None:
    def f(u: Any) -> Any:
        u = u.copy()
        for _ in range(3):
            u[1:-1, 1:-1] = 0.2 * (u[1:-1, 1:-1] + u[1:-1, :-2] * u[1:-1, 2:] + u[2:, 1:-1] + u[:-2, 1:-1])
        return np.sum(u**2)

    def gradient(u: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(u)
            y = f(u)
        return tape.gradient(y, u)

    u = RNG.standard_normal((n, n))
    compiled = pb.function(gradient)
    assert ((n - 4) ** 2 >= IN_LOOP) is (n == 64)
    found = np.asarray(compiled(u))
    pb.config.run_functions_eagerly(True)
    try:
        np.testing.assert_allclose(found, np.asarray(compiled(u)), rtol=1e-13, atol=1e-14)
    finally:
        pb.config.run_functions_eagerly(False)
    d = RNG.standard_normal((n, n))
    slope = (f(u + 1e-6 * d) - f(u - 1e-6 * d)) / 2e-6
    np.testing.assert_allclose(np.sum(found * d), slope, rtol=1e-6)
