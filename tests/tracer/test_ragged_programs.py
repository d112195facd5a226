"""Plain NumPy programs with slices of computed bounds, masks and lengths, and random programs of such statements.

Oracles: the same text run by NumPy; central differences.
"""

from __future__ import annotations

import linecache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pullback as pb

from .test_ragged import RNG, central, gradient, spd


def plain_lu(a: Any) -> Any:
    for k in pb.range(a.shape[0] - 1):
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return a


def plain_views(a: Any) -> Any:
    s = 0.0
    for k in pb.range(1, a.shape[0]):
        row = a[k, :k]
        row *= 2.0
        row[0] = 1.0
        s = s + row.sum() * row.mean()
    return s


def plain_masks(a: Any) -> Any:
    s = 0.0
    for k in pb.range(a.shape[0]):
        m = a[k] > 0.1
        s = s + a[k][m].sum() + (a[k][m] ** 2).sum() * m.sum()
    (i,) = np.nonzero(a[0] > 0.1)
    return s + a[1][i].sum() + a[0][np.flatnonzero(a[1] > 0.0)].sum()


def plain_positions(a: Any) -> Any:
    s = 0.0
    for k in pb.range(a.shape[0]):
        (i,) = np.nonzero(a[k] > 0.1)
        a[k][i] = a[0][i] * 0.5 + a[k][i] ** 2
        s = s + a[k].sum()
    return s


def plain_lengths(a: Any) -> Any:
    s = 0.0
    for k in pb.range(1, a.shape[0]):
        w = np.zeros(k)
        for j in pb.range(k):
            w[j] = a[k, j] * 2.0
        w[1:] += a[0, : k - 1]
        s = s + (w * np.arange(k) * a[1, :k]).sum() + np.ones((k, 2)).sum() + np.arange(1, k).sum()
    return s


@pytest.mark.parametrize("program", [plain_lu, plain_views, plain_masks, plain_positions, plain_lengths])
def test_plain_numpy(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a = spd(5) / 5.0
    mine, theirs = a.copy(), a.copy()
    found = pb.function(program)(mine)

    def numpy(x: Any) -> Any:
        with monkeypatch.context() as m:
            m.setattr(pb, "range", range)
            return program(np.array(x))

    with monkeypatch.context() as m:
        m.setattr(pb, "range", range)
        expected = program(theirs)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-12)
    np.testing.assert_allclose(mine, theirs, rtol=1e-12)  # what is written to an argument, the caller sees
    w = RNG.normal(size=np.shape(expected))

    @pb.function
    def loss(x: Any) -> Any:
        return pb.reduce_sum(program(np.copy(x)) * w)

    x = pb.constant(a)
    with pb.GradientTape() as tape:
        tape.watch(x)
        y = loss(x)
    want = central(lambda v: (np.asarray(numpy(v)) * w).sum(), a)
    np.testing.assert_allclose(np.asarray(tape.gradient(y, x)), want, rtol=1e-5, atol=1e-6)


STATEMENTS = [
    "x[k:] = np.tanh(x[k:]) * c",
    "x[:k] += y[:k] * x[k]",
    "x[1 : k + 1] = x[:k] * 0.5 + y[:k]",
    "y[:k] = y[:k][::-1] * c + x[:k]",
    "y[k::2] -= 0.3 * x[k::2] * y[k]",
    "c = c + np.dot(x[:k], y[:k]) * 0.1",
    "c = c * 0.9 + x[k:].max() - y[k:].min()",
    "y[k] = np.sum(x[k:] * y[k:]) * 0.1",
    "c = c + x[x > 0.2].sum() * 0.1",
    "x[k] = np.exp(-np.abs(y[:k]).sum()) + c * 0.01",
    "y[k:-1] *= x[k + 1 :]",
    "x[-k:] = y[-k:] - x[-k:]",
]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4), st.integers(0, 10**6))
def test_random_programs(statements: list[str], seed: int) -> None:
    body = "".join(f"        {s}\n" for s in statements)
    text = "def f(x0, y0, rng):\n    x = np.copy(x0)\n    y = np.copy(y0)\n    c = x[0] * 0.5\n"
    text += f"    for k in rng(6):\n{body}    return x * c + y\n"
    f = from_source(text)
    rng = np.random.default_rng(seed)
    x, y, w = rng.normal(size=6), rng.normal(size=6), rng.normal(size=6)
    g = pb.function(lambda x, y: f(x, y, pb.range))
    found = np.asarray(g(pb.constant(x), pb.constant(y)))
    assert "for %" in str(g.get_concrete_function(pb.constant(x), pb.constant(y)).ir)
    np.testing.assert_allclose(found, f(x, y, range), rtol=1e-9, atol=1e-12)
    grad = gradient(g, [x, y], w)
    want = central(lambda v: (f(v, y, range) * w).sum(), x)
    far = np.isclose(want, central(lambda v: (f(v, y, range) * w).sum(), x, 1e-5), rtol=1e-3, atol=1e-4)
    # Rounding in differences goes with the size of the function, so what is small beside the largest is less sure.
    atol = 1e-5 * max(1.0, np.abs(want).max(initial=0.0))
    np.testing.assert_allclose(np.asarray(grad)[far], want[far], rtol=1e-4, atol=atol)


def from_source(text: str) -> Any:
    """The function of a text, with lines that tracing can look up."""
    name = f"<program {hash(text)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope: dict[str, Any] = {"np": np, "pb": pb}
    exec(compile(text, name, "exec"), scope)
    return scope["f"]
