"""Compiled factorisations and substitutions against LAPACK (through NumPy) in double precision.

At sizes on both sides of every limit: straight code, pieces of rows, blocks with products between them, with a rest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pullback.codegen.compile import Executable, compile_function
from pullback.codegen.pipeline import optimise
from pullback.ir.errors import InvalidArgumentError, SingularMatrix

from .compiled import array, check, function

SIZES = [1, 2, 3, 5, 8, 9, 17, 40, 97, 128, 150]


def build(arrays: list[Any], make: Any) -> Executable:
    return compile_function(optimise(function(make, arrays)))


def near(got: Any, want: Any, tolerance: float, what: str) -> None:
    assert got.shape == want.shape
    error = np.abs(got - want).max() if got.size else 0.0
    assert error <= tolerance * max(1.0, np.abs(want).max() if want.size else 0.0), f"{what}: {error}"


def matrices(n: int, dtype: str) -> tuple[Any, Any]:
    """One that needs its rows exchanged, of condition about n, and a positive definite one."""
    x = array((n, n), dtype)
    a = x + np.roll(np.eye(n, dtype=dtype), 1, 0) * np.asarray(2 * n**0.5, dtype)
    return a, (x @ x.T + n * np.eye(n)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", SIZES)
def test_all_sizes_against_lapack(n: int, dtype: str) -> None:
    a, s = matrices(n, dtype)
    one, some = array((n, 1), dtype, 1), array((n, 19), dtype, 2)

    def make(b: Any, a: Any, s: Any, one: Any, some: Any) -> list[Any]:
        out = [b.cholesky(s), b.inv(a), b.det(a * (1.0 / n)), *b.slogdet(a)]
        for right in (one, some):
            out += [b.solve(a, right, adjoint=flip) for flip in (False, True)]
            out += [b.triangular_solve(s, right, lower=low, adjoint=f) for low in (True, False) for f in (True, False)]
        return out

    got = build([a, s, one, some], make).run([a, s, one, some])
    a, s = a.astype(np.float64), s.astype(np.float64)
    want = [np.linalg.cholesky(s), np.linalg.inv(a), np.linalg.det(a * (1.0 / n)), *np.linalg.slogdet(a)]
    for right in (one, some):
        want += [np.linalg.solve(m, right.astype(np.float64)) for m in (a, a.T)]
        want += [np.linalg.solve(m, right) for low in (np.tril(s), np.triu(s)) for m in (low.T, low)]
    for k, (g, w) in enumerate(zip(got, map(np.asarray, want), strict=True)):
        near(g, w, 40 * max(n, 4) * np.finfo(dtype).eps, f"result {k}")


@pytest.mark.parametrize("n", [4, 40, 97])
def test_the_factors_multiply_to_the_matrix(n: int) -> None:
    a, _ = matrices(n, "float64")
    factors, exchanges, sign = build([a], lambda b, a: b.lu(a)).run([a])
    rows = a.copy()
    for k, p in enumerate(exchanges):
        assert k <= p < n
        rows[[k, p]] = rows[[p, k]]
    lower = np.tril(factors, -1)
    assert np.abs(lower).max(initial=0.0) <= 1.0  # the pivot is the largest
    near((lower + np.eye(n)) @ np.triu(factors), rows, 1e-13, "P A")
    assert sign == (-1) ** int(np.sum(exchanges != np.arange(n)))


def test_batches() -> None:
    a, right = array((2, 3, 5, 5), "float64") + 4 * np.eye(5), array((2, 3, 5, 2), "float64", 1)

    def make(b: Any, a: Any, right: Any) -> list[Any]:
        gram = b.matmul(a, a, transpose_a=False, transpose_b=True)
        solved = b.triangular_solve(gram, right, lower=False, adjoint=True)
        return [b.solve(a, right, adjoint=True), b.inv(a), b.det(a), *b.slogdet(a), b.cholesky(gram), solved]

    check(make, a, right, tolerance=1e-12)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0, 0), (0, 4, 4)])
def test_empty(shape: tuple[int, ...]) -> None:
    def make(b: Any, a: Any, right: Any) -> list[Any]:
        return [
            b.solve(a, right, adjoint=False), b.inv(a), b.det(a), *b.slogdet(a), b.cholesky(a),
            b.triangular_solve(a, right, lower=True, adjoint=False),
        ]  # fmt: skip

    check(make, array(shape, "float64"), array((*shape[:-1], 2), "float64"))
    check(lambda b, a: b.inv(a), array((2, 4, 4), "float64"), tolerance=1e-12)


@pytest.mark.parametrize("n", [3, 8, 11, 97])
def test_what_is_not_positive_definite_is_nan_throughout(n: int) -> None:
    _, s = matrices(n, "float64")
    bad = s.copy()
    bad[n - 1, n - 1] = -1.0
    zero, hidden = s.copy(), s.copy()
    zero[0, 0] = 0.0
    hidden[0, n - 1] = np.nan  # above the diagonal: not read
    unknown = s.copy()
    unknown[n - 1, 0] = np.nan
    stack = np.stack([s, bad, zero, hidden, unknown])
    got = build([stack], lambda b, x: b.cholesky(x)).run([stack])[0]
    for k in (0, 3):
        near(got[k], np.linalg.cholesky(s), 1e-13, str(k))
    for k in (1, 2, 4):
        assert np.isnan(got[k]).all()


@pytest.mark.parametrize("n", [2, 8, 20, 100])
def test_a_singular_matrix_is_an_error_where_it_is_inverted_and_has_determinant_zero(n: int) -> None:
    a, _ = matrices(n, "float64")
    a[:, n - 1] = 0.0
    right = array((n, 2), "float64")
    for make in (lambda b, a, r: b.solve(a, r, adjoint=False), lambda b, a, r: b.inv(a) + b.reduce_sum(
        r, axes=(0, 1), keepdims=False)):  # fmt: skip
        with pytest.raises(SingularMatrix, match="singular") as e:
            build([a, right], make).run([a, right])
        assert isinstance(e.value, InvalidArgumentError)
        assert isinstance(e.value, np.linalg.LinAlgError)
    det, sign, size = build([a], lambda b, a: [b.det(a), *b.slogdet(a)]).run([a])
    assert (det, sign, size) == (0.0, 0.0, -np.inf)


def test_nan_and_inf_stay_in_the_result() -> None:
    a = np.array([[[1.0, np.nan], [2.0, 3.0]], [[1.0, np.inf], [2.0, 3.0]]])
    inverse, det = build([a], lambda b, a: [b.inv(a), b.det(a)]).run([a])
    assert np.isnan(inverse[0]).any()
    assert np.isnan(det[0])
    np.testing.assert_array_equal(inverse[1], np.linalg.inv(a[1]))
    assert det[1] == -np.inf


def test_equal_matrices_are_factored_once() -> None:
    a, right = array((6, 6), "float64"), array((6, 2), "float64")

    def make(b: Any, a: Any, right: Any) -> list[Any]:
        return [b.solve(a, right, adjoint=False), b.solve(a, right, adjoint=True), b.inv(a), b.det(a)]

    assert build([a, right], make).llvm.count("call i32 @lu_f64_6x6(") == 1


_NARROW = """
import numpy as np
from pullback.codegen.compile import compile_function
from pullback.codegen.host import host
from pullback.codegen.pipeline import optimise
from tests.codegen.compiled import array, function
from tests.codegen.test_factor import matrices, near
assert host().vector_bytes == WIDTH
for n in (3, 9, 33, 49, 70):
    a, s = matrices(n, "float64")
    b = array((n, 5), "float64")
    fn = function(lambda o, a, s, b: [o.solve(a, b, adjoint=True), o.cholesky(s), o.inv(a)], [a, s, b])
    got = compile_function(optimise(fn)).run([a, s, b])
    for g, w in zip(got, (np.linalg.solve(a.T, b), np.linalg.cholesky(s), np.linalg.inv(a))):
        near(g, w, 1e-12, str(n))
"""


@pytest.mark.parametrize(("features", "width"), [("-avx,-avx2,-avx512f,-fma", 16), ("-avx512f", 32)])
def test_narrower_machines(features: str, width: int) -> None:
    from pullback.codegen.host import host

    if host().vector_bytes < width:
        pytest.skip("this machine has no vectors of that width")
    root = Path(__file__).resolve().parents[2]
    where = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PULLBACK_CPU_FEATURES": features, "PYTHONPATH": where}
    text = _NARROW.replace("WIDTH", str(width))
    done = subprocess.run([sys.executable, "-c", text], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
