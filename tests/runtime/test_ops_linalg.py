"""Matrix products and creation ops against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pullback as pb

from .checks import check_gradient, close, same

R = np.random.default_rng(5)
A, B = R.normal(size=(2, 3, 4)), R.normal(size=(4, 5))


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("batch", [((), ()), ((2,), (2,)), ((2, 1), (3,)), ((), (2,))])
def test_matmul(ta: bool, tb: bool, batch: Any) -> None:
    a = R.normal(size=(*batch[0], 4, 3) if ta else (*batch[0], 3, 4))
    b = R.normal(size=(*batch[1], 2, 4) if tb else (*batch[1], 4, 2))
    want = (a.swapaxes(-1, -2) if ta else a) @ (b.swapaxes(-1, -2) if tb else b)
    close(pb.matmul(a, b, transpose_a=ta, transpose_b=tb), want, rtol=1e-12)
    close(pb.matmul(a, b, adjoint_a=ta, adjoint_b=tb), want, rtol=1e-12)
    check_gradient(lambda x, y: pb.matmul(x, y, transpose_a=ta, transpose_b=tb), a, b)


@pytest.mark.parametrize("axes", [0, 1, 2, [[2], [0]], [[0, 2], [0, 1]], [1, 2]])
def test_tensordot(axes: Any) -> None:
    shapes = {0: (3,), 1: (4, 2), 2: (3, 4, 2)}
    b = R.normal(size=shapes[axes] if isinstance(axes, int) else (2, 4, 3) if axes == [[0, 2], [0, 1]] else (4, 2, 3))
    close(pb.tensordot(A, b, axes), np.tensordot(A, b, axes), rtol=1e-11, atol=1e-12)
    check_gradient(lambda x, y: pb.tensordot(x, y, axes), A, b, rtol=1e-4, atol=1e-6)


def test_others() -> None:
    close(pb.linalg.matvec(A, B[:, 0]), A @ B[:, 0], rtol=1e-12)
    m = R.normal(size=(3, 3))
    close(pb.linalg.trace(m), np.trace(m))
    same(pb.linalg.set_diag(np.zeros((2, 2)), [1.0, 2.0]), np.diag([1.0, 2.0]))
    close(pb.linalg.cross(m[0], m[1]), np.cross(m[0], m[1]))
    same(pb.linalg.adjoint(pb.constant([[1 + 2j, 3j]])), [[1 - 2j], [-3j]])


@pytest.mark.parametrize(
    "f",
    [lambda: pb.matmul(A, B[:3]), lambda: pb.matmul(A, B[0]), lambda: pb.constant(A) @ pb.constant(B[0]),
     lambda: pb.tensordot(A, B, 2), lambda: pb.tensordot(A, B, [[0], [0]])],
)  # fmt: skip
def test_refused(f: Any) -> None:
    with pytest.raises(ValueError, match=r"test_ops_linalg\.py"):
        f()


def test_creation() -> None:
    same(pb.zeros([2, 3]), np.zeros((2, 3)), "float32")
    same(pb.ones([2], pb.int32), [1, 1], "int32")
    same(pb.zeros([2], pb.bool), [False, False], "bool")
    same(pb.fill([2, 2], 7), [[7, 7], [7, 7]], "int32")
    same(pb.eye(2, 3), np.eye(2, 3), "float32")
    same(pb.eye(2, batch_shape=[2]), [np.eye(2)] * 2)
    same(pb.zeros_like([1.0, 2.0]), [0.0, 0.0])
    same(pb.ones_like(pb.constant([1, 2])), [1, 1], "int32")
    for args in ((5,), (2, 10, 3), (10, 0, -3), (0,)):
        same(pb.range(*args), np.arange(*args), "int32")
    close(pb.range(1.0, 0.0, -0.3), np.arange(1.0, 0.0, -0.3), rtol=1e-6)
    same(pb.range(3, dtype=pb.int64), [0, 1, 2], "int64")
    close(pb.linspace(0.0, 1.0, 5), np.linspace(0, 1, 5))
    assert pb.linspace(0, 1, 3).dtype is pb.float64
    close(pb.linspace([0.0, 1.0], [1.0, 2.0], 3), np.linspace([0, 1], [1, 2], 3))
    close(pb.lin_space(-2 * np.pi, 2 * np.pi, 100), np.linspace(-2 * np.pi, 2 * np.pi, 100), rtol=1e-5, atol=1e-6)
    check_gradient(lambda a, b: pb.linspace(a, b, 4), 1.0, 4.0)
    for f in (
        lambda: pb.range(0, 5, 0),
        lambda: pb.range(5, 0),
        lambda: pb.linspace(0.0, 1.0, 0),
        lambda: pb.zeros([-1]),
    ):
        with pytest.raises(pb.errors.InvalidArgumentError):
            f()


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ii->i", [(3, 3)]),
        ("ii", [(3, 3)]),
        ("ij->ji", [(2, 3)]),
        ("ijk->k", [(2, 3, 4)]),
        ("i,j->ij", [(2,), (3,)]),
        ("i,i->", [(3,), (3,)]),
        ("...ij,jk->...ik", [(2, 5, 3, 4), (4, 2)]),
        ("i,ij,j->", [(2,), (2, 3), (3,)]),
        ("abc,cd,de->eab", [(2, 3, 4), (4, 2), (2, 3)]),
        ("ij,ij->ij", [(2, 3), (2, 3)]),
        ("ijk,il->jl", [(2, 3, 4), (2, 5)]),
    ],
)
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    arrays = [R.normal(size=s) for s in shapes]
    close(pb.einsum(equation, *arrays), np.einsum(equation, *arrays), rtol=1e-10, atol=1e-12)
    check_gradient(lambda *ts: pb.einsum(equation, *ts), *arrays, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("equation", ["ij", "ij,jk->im", "ij,kj->ikk", "i,j->ij"])
def test_einsum_refused(equation: str) -> None:
    with pytest.raises(ValueError, match=r"einsum.*test_ops_linalg\.py"):
        pb.einsum(equation, np.ones((2, 3)), np.ones((3, 4)))
    with pytest.raises(pb.errors.InvalidArgumentError, match="sizes 3 and 2"):
        pb.einsum("ij,jk->ik", np.ones((2, 3)), np.ones((2, 3)))
