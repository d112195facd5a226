"""Cold helpers are compiled once per process, only declared in modules, and right when they are reached."""

from __future__ import annotations

import numpy as np

from pullback.codegen import helpers
from pullback.codegen.compile import compile_function
from pullback.codegen.pipeline import optimise

from .compiled import array, function


def test_helpers_are_declared_in_modules_and_shared() -> None:
    first = compile_function(optimise(function(lambda b, x: b.sin(x), [array((40,))])))
    known = dict(helpers._addresses)
    count = len(helpers._libraries)
    second = compile_function(optimise(function(lambda b, x: b.sin(x) * x, [array((50,))])))
    assert helpers._addresses == known
    assert len(helpers._libraries) == count
    for exe in (first, second):
        assert "define private float @pb.sin" not in exe.llvm
        assert "declare" in exe.llvm


def test_the_cold_path_is_taken_and_exact() -> None:
    x = np.array([1e30, -3e38, 0.5, np.inf, np.nan, 1e10, 2.0], np.float32)
    got = compile_function(optimise(function(lambda b, x: b.sin(x), [x]))).run([x])[0]
    with np.errstate(invalid="ignore"):
        want = np.sin(x.astype(np.float64))
    np.testing.assert_allclose(got, want, rtol=3e-7, atol=0)


def test_a_definition_is_declared_with_its_types_alone() -> None:
    text = "define private <4 x float> @h(<4 x i1> %m, float %x) cold {\nentry:\n  ret <4 x float> zeroinitializer\n}"
    declared, names = helpers.split({"h": text, "llvm.x": "declare float @llvm.x(float)"})
    assert declared == "declare <4 x float> @h(<4 x i1>, float)\ndeclare float @llvm.x(float)"
    assert names == ["h"]
