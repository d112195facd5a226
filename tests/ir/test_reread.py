"""Stored arrays are read back where the array they are in is needed anyway, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.ir.interpret import interpret
from pullback.ir.parser import parse
from pullback.ir.reread import reread
from pullback.ir.verifier import verify

SWEEPS = """
func @f(%a: f64[80], %b: f64[80]) -> (f64[80], f64[80]) {
  %0 = slice %a {starts = [0], sizes = [78], strides = [1]} : f64[78]
  %1 = slice %a {starts = [2], sizes = [78], strides = [1]} : f64[78]
  %s = add %0, %1 : f64[78]
  %c = update %b, %s {starts = [1], strides = [1]} : f64[80]
  %2 = slice %c {starts = [0], sizes = [78], strides = [1]} : f64[78]
  %3 = add %s, %2 : f64[78]
  %d = update %a, %3 {starts = [1], strides = [1]} : f64[80]
  return %c, %d
}
"""


def run(fn: Any) -> Any:
    xs = [np.arange(float(p.type.shape[0])) ** 1.5 for p in fn.params]
    return interpret(fn, xs)


def changed(text: str) -> bool:
    fn = parse(text)
    new = reread(fn)
    verify(new)
    for x, y in zip(run(fn), run(new), strict=True):
        np.testing.assert_array_equal(x, y)
    return new is not fn


def test_the_second_sweep_reads_what_the_first_wrote() -> None:
    fn = reread(parse(SWEEPS))
    text = str(fn)
    assert text.count("slice") == 4
    assert "slice %c {starts = [1], sizes = [78]" in text
    assert text.count("%s") == 2  # where it is made, and where it is stored


def test_results_stay() -> None:
    assert changed(SWEEPS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("%2 = slice %c", "%2 = slice %b"),  # the use does not need the array
        ("%s = add %0, %1 : f64[78]", "%s = reverse %0 {axes = [0]} : f64[78]"),  # cannot be computed once more
    ],
)
def test_left_alone(old: str, new: str) -> None:
    assert not changed(SWEEPS.replace(old, new))


def test_small_ones_stay_in_registers() -> None:
    assert not changed(SWEEPS.replace("80", "20").replace("78", "18"))


def test_in_loops() -> None:
    def f(a: Any, n: Any) -> Any:
        b = a.copy()
        for _ in range(n):
            b[1:-1] = (a[:-2] + a[1:-1] + a[2:]) / 3.0
            a[1:-1] = (b[:-2] + b[1:-1] + b[2:]) / 3.0
        return a.sum()

    a = np.linspace(0.0, 1.0, 50) ** 2
    g = pb.function(f)
    text = g.inspect(a, 6, stage="kernels")
    assert "ring" not in text  # both arrays are written in place
    found, expected = a.copy(), a.copy()
    np.testing.assert_allclose(g(found, 6), f(expected, 6), rtol=1e-14)
    np.testing.assert_array_equal(found, expected)
