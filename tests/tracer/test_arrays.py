"""Writing in place: each program runs as plain NumPy, compiled, and eagerly; results and arguments agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb

Program = Callable[..., Any]
N, M = 6, 4


def vector() -> Any:
    return np.linspace(0.5, 3.0, N)


def matrix() -> Any:
    return np.arange(N * M, dtype=np.float64).reshape(N, M) / 7 - 1.03


def element(x: Any, A: Any, n: Any) -> Any:
    x[1] = 5.0
    x[-1] = x[0] * 2.0
    A[2, 3] = x[1]
    A[-1, -2] += 1.5
    return x.sum() + A.sum()


def slices(x: Any, A: Any, n: Any) -> Any:
    x[1:-1] = x[2:] - x[:-2]
    x[::2] *= 3.0
    A[1, 1:3] = x[:2]
    A[:, 0] -= x
    A[::-1, 1] = x
    A[...] = A + 1.0
    return A[1:, 2] @ x[1:]


def newaxis(x: Any, A: Any, n: Any) -> Any:
    A[:, None, 1] = x[:, None]
    A[None, 2, :] = x[None, :M]
    return A


def broadcast(x: Any, A: Any, n: Any) -> Any:
    A[:] = x[:M]
    A[1:3] = 2.0
    A[3] = np.ones((1, M)) * 4
    return A


def whole(x: Any, A: Any, n: Any) -> Any:
    x += 1.0
    x *= x
    x -= A[:, 0]
    x /= 2.0
    x **= 2
    A += x[:, None]
    return x


def views(x: Any, A: Any, n: Any) -> Any:
    y = x[1:5]
    y[0] = 9.0
    z = y[::2]
    z[:] = z * 2.0
    x[3] = -1.0
    row = A[2]
    row[1:] = y[:3]
    row += 1.0
    return y + z[0], row.copy()


def transposed(x: Any, A: Any, n: Any) -> Any:
    T = A.T
    T[0] = x
    T[1:3, 2] += 1.0
    A[0, 0] = 100.0
    return T[:2] @ A


def reshaped(x: Any, A: Any, n: Any) -> Any:
    flat = A.reshape(-1)
    flat[:: M + 1] = 0.0
    flat[3] += x[0]
    cube = A.ravel().reshape(2, 3, M)
    cube[1, :, 0] = x[:3]
    A[5, 3] = 8.0
    return flat[-1] + cube[1, 2, 3]


def copies(x: Any, A: Any, n: Any) -> Any:
    y = x.copy()
    y[0] = 50.0
    z = np.array(x)
    z[1] = 60.0
    w = x + 0.0
    w[2] = 70.0
    return y, z, w


def index_arrays(x: Any, A: Any, n: Any) -> Any:
    i = np.array([0, 2, 2, -1])
    x[i] = np.array([1.0, 2.0, 3.0, 4.0])
    x[[1, 3]] += 10.0
    A[i[:2], np.array([1, 2])] = -5.0
    A[np.array([4, 5]), 1:3] *= 2.0
    A[:, np.array([0, 3])] += x[:, None]
    return x[i], A[i], A[1:3, [1, 0]]


def masks(x: Any, A: Any, n: Any) -> Any:
    x[x > 2.2] = 0.0
    x[x < 1.2] += 5.0
    A[A > 0.5] = A[A > 0.5] * 2.0
    A[x > 4.0] = 1.0
    A[A < 0] = np.sqrt(-A[A < 0])
    return A


def aliases(x: Any, A: Any, n: Any) -> Any:
    y = x
    y[0] = 4.0
    y += 1.0
    z = [x, y]
    z[1][2] = 11.0
    return x, y


def helper(v: Any, i: Any, by: float = 0.5) -> None:
    v[i] = v[i - 1] * by + 1.0
    v[i:] *= 1.125


def calls(x: Any, A: Any, n: Any) -> Any:
    for i in range(1, n):
        helper(x, i)
        helper(A[i], 1, by=0.25)
    return x


def swaps(x: Any, A: Any, n: Any) -> Any:
    u, v = x.copy(), x.copy()
    for _ in range(n):
        v[1:-1] = 0.5 * (u[2:] + u[:-2])
        u, v = v, u
    return u, v


def branches(x: Any, A: Any, n: Any) -> Any:
    for i in range(n):
        if x[i] > 1.2:
            x[i] = x[i - 1]
            A[i] += 1.0
        elif x[i] > 0.9:
            A[i, :2] = x[i]
        else:
            x[i] *= 0.5
        v = A[i]
        v[0] = x[i]
    return x


def local(x: Any, A: Any, n: Any) -> Any:
    total = 0.0
    for i in range(n):
        t = np.zeros(3)
        t[0] = total
        t[1:] = x[i]
        total += t.sum()
        x[i] = total
    return total


def stops(x: Any, A: Any, n: Any) -> Any:
    for i in range(1, n):
        x[i] = x[i - 1] + x[i]
        if x[i] > 3.3:
            x[0] = 0.0
            break
        A[i] = x[i]
    else:
        A[0] = 77.0
    return A


def whiles(x: Any, A: Any, n: Any) -> Any:
    i = 0
    while x[0] < 40.0:
        x[0] *= 1.5
        x[1:] += x[0]
        A[i % 3, i % 2] += 1.0
        i += 1
        if i > 2 * n:
            return x * 2.0
    return x


def integers(x: Any, A: Any, n: Any) -> Any:
    counts = np.zeros(4, dtype=np.int64)
    for i in range(n):
        counts[i % 4] += 2
        counts[3] = counts[3] * 2.9
    flags = np.zeros(N, dtype=bool)
    flags[1] = True
    flags[2:4] |= x[2:4] > 1.7
    return counts, flags


def nested(x: Any, A: Any, n: Any) -> Any:
    for i in range(n):
        for j in range(1, M):
            A[i, j] = A[i, j - 1] + x[j]
            if j > i:
                x[j] -= 0.25
    return A


PROGRAMS: list[Program] = [
    element, slices, newaxis, broadcast, whole, views, transposed, reshaped, copies, index_arrays, masks, aliases,
    calls,
    swaps, branches, local, stops, whiles, integers, nested,
]  # fmt: skip


def agree(found: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        for f, e in zip(found, expected, strict=True):
            agree(f, e)
        return
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-13, atol=1e-13)
    assert np.asarray(found).dtype == np.asarray(expected).dtype


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("mode", ["compiled", "eager"])
@pytest.mark.parametrize("n", [5, 1, 0])
def test_the_program_is_plain_numpy(f: Program, mode: str, n: int) -> None:
    theirs, ours = (vector(), matrix()), (vector(), matrix())
    expected = f(*theirs, n)
    pb.config.run_functions_eagerly(mode == "eager")
    try:
        found = pb.function(f)(*ours, n)
    finally:
        pb.config.run_functions_eagerly(False)
    agree(found, expected)
    agree(ours, theirs)


@pytest.mark.parametrize("f", [f for f in PROGRAMS if f is not integers], ids=lambda f: f.__name__)
def test_gradients_are_differences(f: Program) -> None:
    """Of a weighted sum of all that comes out, arguments included, by a tape around the function and inside."""
    weights = np.cos(np.arange(200.0))

    def total(parts: list[Any]) -> Any:
        flat = [np.reshape(p, -1) for p in parts]
        return sum((np.sum(p * weights[: p.shape[0]]) for p in flat), 0.0)

    def loss(x: Any, A: Any) -> Any:
        y, B = x * 1.0, A * 1.0
        out = f(y, B, 4)
        parts = list(out) if isinstance(out, tuple) else [out]
        return total([*parts, y, B])

    def slope(x: Any, A: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch([x, A])
            value = loss(x, A)
        return tape.gradient(value, [x, A])

    x0, A0 = vector(), matrix()
    dx, dA = np.sin(np.arange(N) + 1.0), np.cos(np.arange(N * M) * 2.0).reshape(N, M)
    h = 1e-6
    expected = (loss(x0 + h * dx, A0 + h * dA) - loss(x0 - h * dx, A0 - h * dA)) / (2 * h)
    found = [pb.function(slope)(x0, A0)]
    x, A = pb.array(x0), pb.array(A0)
    for eager in (False, True):
        pb.config.run_functions_eagerly(eager)
        try:
            with pb.GradientTape() as tape:
                tape.watch([x, A])
                value = pb.function(loss)(x, A)
        finally:
            pb.config.run_functions_eagerly(False)
        found.append(tape.gradient(value, [x, A]))
    for gx, gA in found:
        at_x = 0.0 if gx is None else np.sum(np.asarray(gx) * dx)
        at_A = 0.0 if gA is None else np.sum(np.asarray(gA) * dA)
        np.testing.assert_allclose(at_x + at_A, expected, rtol=2e-6, atol=1e-7)


TABLE = np.array([0.5, 1.5, -2.0, 4.0])


def test_an_array_from_outside_is_read_at_computed_places() -> None:
    local = np.arange(12.0).reshape(4, 3)

    def f(x: Any, n: Any) -> Any:
        total = 0.0
        for i in range(n):
            total += TABLE[i % 4] * x[i % N] + local[i % 4, 1:][0] + local[i % 4 : i % 4 + 1, 2].sum()
        return total

    for n in (40, np.int64(9)):  # a loop over Python's numbers, and one that a tensor controls
        np.testing.assert_allclose(pb.function(f)(vector(), n), f(vector(), n), rtol=1e-13)


def test_an_array_from_outside_is_not_written() -> None:
    @pb.function
    def f(x: Any, i: Any) -> Any:
        part = TABLE[i : i + 2]
        part[0] = x[0]
        return part

    with pytest.raises(ValueError, match=r"ndarray from outside of the function.*\[test_arrays.py:\d+\]"):
        f(vector(), np.int64(1))


def test_arguments_that_share_memory_are_refused_where_one_is_written() -> None:
    @pb.function
    def f(x: Any, y: Any) -> Any:
        x[0] = 1.0
        return x + y

    a = vector()
    for x, y in ((a, a), (a, a[::-1]), (a[1:], a[:-1])):
        with pytest.raises(ValueError, match="shares its memory"):
            f(x, y)
    A = matrix()
    np.testing.assert_array_equal(f(A[:, 0], A[:, 1]), A[:, 0] + A[:, 1])  # side by side is not shared
    assert A[0, 0] == 1.0


def test_what_cannot_be_known_is_refused_with_the_line() -> None:
    @pb.function
    def f(x: Any, c: Any) -> Any:
        if c > 0:
            y = x
        else:
            y = x * 2.0
        y[0] = 1.0
        return y

    with pytest.raises(ValueError, match=r"'y' may also be, depending on the `if`.*write y = y.copy\(\)"):
        f(vector(), np.float64(1.0))


def test_a_read_only_argument_is_not_written() -> None:
    x = vector()
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        pb.function(element)(x, matrix(), 3)


def test_tensors_are_handles_too() -> None:
    @pb.function
    def f(t: Any) -> Any:
        part = t[1:]
        part[0] = 7.0  # a slice of a Tensor is a value
        t[0] = part[0]
        return t + 0.0

    t = pb.constant([1.0, 2.0, 3.0])
    same = t
    np.testing.assert_array_equal(f(t), [7, 2, 3])
    np.testing.assert_array_equal(same, [7, 2, 3])
    y = t * 1.0
    y[1:] = 0.0
    np.testing.assert_array_equal(y, [7, 0, 0])
    with pytest.raises(TypeError, match=r"made by pb\.constant"):
        pb.constant([1.0])[0] = 2.0


def test_ndarrays_and_tensors_share_a_trace_unless_numpy_is_used() -> None:
    plain = pb.function(lambda x: x * x + 1.0)
    for x in (pb.constant(vector()), vector(), vector()):
        plain(x)
    assert plain.trace_count == 1
    writes = pb.function(element)
    writes(vector(), matrix(), 3)
    writes(vector() + 1.0, matrix(), 3)
    assert writes.trace_count == 1
