"""Sizes with names: whatever is computed with them holds for all sizes that the guards let through."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.ir.dim_bounds import bounds
from pullback.ir.dims import substitute, symbol
from pullback.ir.sizes import Session, Size, dim_of, divides, estimate, is_named, named, text_of
from pullback.ir.types import TensorType, tensor_type

OPERATORS: list[Callable[[Any, Any], Any]] = [
    operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, max, min, operator.lt, operator.le,
    operator.gt, operator.ge, operator.eq, operator.ne, operator.truediv, operator.and_, operator.lshift, divmod,
]  # fmt: skip
LEAVES = st.sampled_from(["n", "m", 0, 1, 2, 3, 7, 16, -1, -5])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(range(len(OPERATORS))), inner, inner),
        st.tuples(st.just("if"), inner, inner, inner),
        st.tuples(st.sampled_from(["abs", "neg", "int", "float", "range", "square", "hash"]), inner),
    ),
    max_leaves=12,
)


def run(tree: Any, env: dict[str, Any]) -> Any:
    """The value of a random expression, in which sizes decide branches, index tuples and become floats."""
    if not isinstance(tree, tuple):
        return env.get(tree, tree)
    head, *rest = tree
    if head == "if":
        return run(rest[1], env) if run(rest[0], env) else run(rest[2], env)
    x = run(rest[0], env)
    if isinstance(head, int):
        y = run(rest[1], env)
        if isinstance(x, tuple) or isinstance(y, tuple):
            return x
        if OPERATORS[head] is operator.lshift and not 0 <= y < 20:
            return x
        if OPERATORS[head] in (operator.and_, operator.lshift) and (isinstance(x, float) or isinstance(y, float)):
            return y
        return OPERATORS[head](x, y)
    if isinstance(x, tuple):
        return x
    if head == "range":
        return len(range(min(max(int(x), 0), 50)))
    if head == "hash":
        return {x: 1}.get(x, 0)
    return {"abs": abs, "neg": operator.neg, "int": int, "float": float, "square": lambda v: v * v}[head](x)


def value_of(x: Any, sizes: dict[str, int]) -> Any:
    if isinstance(x, tuple):
        return tuple(value_of(v, sizes) for v in x)
    return substitute(dim_of(x), sizes) if is_named(x) else x


@settings(max_examples=1500, deadline=None)
@given(TREES, st.integers(2, 40), st.integers(2, 40), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))))
def test_what_passes_the_guards_gets_the_same_answer(tree: Any, n: int, m: int, others: list[tuple[int, int]]) -> None:
    session = Session({"n": n, "m": m})
    try:
        found = run(tree, named(session))
        failed = None
    except (ZeroDivisionError, OverflowError) as e:
        found, failed = None, type(e)
    for a, b in [(n, m), *others, *((k, k + 1) for k in range(2, 12))]:
        sizes = {"n": a, "m": b}
        if (a, b) == (n, m):
            assert session.holds(sizes)
        if not session.holds(sizes):
            continue
        if failed is not None:
            with pytest.raises(failed):
                run(tree, dict(sizes))
            continue
        expected = run(tree, dict(sizes))
        got = value_of(found, sizes)
        assert got == expected or (got != got and expected != expected), (sizes, session.guards)


def test_it_is_an_int_that_only_code_in_c_takes_for_one_number() -> None:
    session = Session({"n": 12, "m": 5})
    n, m = named(session).values()
    assert isinstance(n, int)
    assert type(n) is Size
    assert (n + m) * 2 - m - m == 2 * n
    assert n > 1
    assert n != 0
    assert n * m > n
    assert bool(n)
    assert (n - 1) % n == n - 1
    assert (n * 4) // 4 == n
    assert not session.guards
    assert isinstance(n == 12, bool)
    assert session.pinned
    assert session.holds({"n": 12, "m": 3})
    assert not session.holds({"n": 13, "m": 3})


@pytest.mark.parametrize(
    "use",
    [lambda n: list(range(n)), lambda n: np.zeros(n), lambda n: [0] * n, math.sqrt, float, int, lambda n: "abc"[n - 12],
     lambda n: n / 2, lambda n: n**0.5, lambda n: np.arange(4) * n, round, lambda n: n & 3, lambda n: n.bit_length(),
     lambda n: f"{[0] * n}", lambda n: np.int64(n), lambda n: n * np.float32(2), lambda n: bytes(n),
     lambda n: n == 12.0, lambda n: np.array([n, 3], np.int64), lambda n: np.add(n, np.ones(2, np.float32))],
)  # fmt: skip
def test_uses_as_a_number_pin_it(use: Callable[[Any], Any]) -> None:
    session = Session({"n": 12})
    found, expected = use(named(session)["n"]), use(12)
    assert session.pinned
    assert not session.holds({"n": 11})
    np.testing.assert_array_equal(found, expected)


def test_sizes_of_different_sessions_are_never_equal() -> None:
    a, b = (named(Session({"n": 12}))["n"] for _ in range(2))
    assert a != b
    assert len({a, b, a + 0}) == 2


def test_a_session_that_is_over_has_numbers() -> None:
    session = Session({"n": 12})
    n = named(session)["n"]
    session.close()
    assert not is_named(n)
    assert type(n + 1) is int
    assert (n + 1, n == 12, int(n), str(n), [1] * n) == (13, True, 12, "n", [1] * 12)
    assert not session.guards


def test_zero_and_one_are_never_let_through() -> None:
    session = Session({"n": 12})
    assert session.holds({"n": 2})
    assert not session.holds({"n": 1})
    assert not session.holds({"n": 0})


def test_bounds() -> None:
    n, m = symbol("n"), symbol("m")
    assert bounds(n) == (2, math.inf)
    assert bounds(n * m - 1) == (3, math.inf)
    assert bounds(-1 * n) == (-math.inf, -2)
    assert bounds(n - m) == (-math.inf, math.inf)
    assert bounds(-64 * (-1 * n // 64)) == (64, math.inf)


def test_helpers() -> None:
    session = Session({"n": 12}, shown=True)
    n = named(session)["n"]
    assert divides(4, 8 * n)
    assert not divides(8, 4 * n)
    assert divides(4, 8)
    assert not divides(3, 8)
    assert (estimate(n + 1), estimate(5)) == (13, 5)
    assert str(TensorType(tensor_type("float32").dtype, (n, 3))) == "f32[12, 3]"
    assert text_of(n) == "12"
    assert not session.guards
    assert str(n) == "12"
    assert session.pinned
