"""Symbolic sizes: canonical sums and products, quotients, text; checked against plain integer arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.ir.dims import Dim, DimLike, ceildiv, floordiv, maximum, minimum, parse_dim, product, substitute, symbol

n, m = symbol("n"), symbol("m")

# A random expression beside its meaning as a function of the sizes.
leaf = st.one_of(
    st.integers(-5, 5).map(lambda c: (c, lambda n, m: c)),
    st.just((n, lambda n, m: n)),
    st.just((m, lambda n, m: m)),
)


def _combine(children):
    def pair(draw):
        (a, fa), (b, fb), op = draw
        if op == "+":
            return a + b, lambda n, m: fa(n, m) + fb(n, m)
        if op == "-":
            return a - b, lambda n, m: fa(n, m) - fb(n, m)
        if op == "*":
            return a * b, lambda n, m: fa(n, m) * fb(n, m)
        if op == "max":
            return maximum(a, b), lambda n, m: max(fa(n, m), fb(n, m))
        return floordiv(a, 3), lambda n, m: fa(n, m) // 3

    return st.tuples(children, children, st.sampled_from(["+", "-", "*", "max", "//"])).map(pair)


exprs = st.recursive(leaf, _combine, max_leaves=8)


@given(exprs, st.integers(0, 20), st.integers(0, 20))
def test_expressions_mean_what_integer_arithmetic_says(e, nn, mm):
    d, meaning = e
    assert substitute(d, {"n": nn, "m": mm}) == meaning(nn, mm)


@given(exprs)
def test_text_round_trips(e):
    d: DimLike = e[0]
    assert parse_dim(str(d)) == d
    assert str(parse_dim(str(d))) == str(d)


def test_equal_sizes_are_equal_however_they_were_written():
    assert n + n == 2 * n
    assert (n + m) * (n - m) == n * n - m * m
    assert n - n == 0
    assert hash(n + m) == hash(m + n)
    assert n != m
    assert n != 3


def test_exact_quotients_cancel_and_others_stay_opaque():
    assert (6 * n) // 3 == 2 * n
    assert (n * m * 4) // (2 * n) == 2 * m
    assert (n * 3) // n == 3
    half = n // 2
    assert isinstance(half, Dim)
    assert str(half) == "floordiv(n, 2)"
    assert half.symbols == {"n"}
    assert substitute(half, {"n": 7}) == 3
    assert substitute(ceildiv(n, 2), {"n": 7}) == 4
    assert minimum(n, n) == n


def test_substitute_keeps_what_is_not_named():
    assert substitute(n * m + 1, {"n": 3}) == 3 * m + 1
    assert product((n, 2, m)) == 2 * n * m


def test_division_by_zero_is_an_error():
    with pytest.raises(ZeroDivisionError, match="dimension"):
        substitute(floordiv(n, m), {"n": 1, "m": 0})


@pytest.mark.parametrize("text", ["", "n +", "2 3", "floordiv(n", "n ** 2", "%"])
def test_text_that_is_no_size(text):
    with pytest.raises(ValueError, match="not a dimension"):
        parse_dim(text)
