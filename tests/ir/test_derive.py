"""Un-broadcasting emits the cheapest ops; shifts; the silence around NumPy and its slow path."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pullback.ir import ops, quiet  # noqa: F401  fills the op table
from pullback.ir.builder import RAW, new_function
from pullback.ir.derive import shifted, unbroadcast
from pullback.ir.dims import parse_dim

from .rules import types_of


def emitted(type_text: str, *shape: str) -> tuple[list[str], str]:
    """The ops that bring a cotangent of a type to a shape, and the type of the result."""
    fn, b = new_function("f", types_of(type_text))
    y = unbroadcast(b, b.expr(fn.params[0]), tuple(map(parse_dim, shape)))
    return [op.kind.name for op in fn.body.ops], str(y.type)


@pytest.mark.parametrize(
    ("type_text", "shape", "names"),
    [
        ("f32[2, 3]", ("2", "3"), []),
        ("f32[n, 3]", ("n", "3"), []),
        ("f32[2, 3]", ("3",), ["reduce_sum"]),
        ("f32[2, 3]", (), ["reduce_sum"]),
        ("f32[2, 3]", ("2", "1"), ["reduce_sum"]),
        ("f32[n, 3]", ("1", "3"), ["reduce_sum"]),
        ("f32[4, 2, 3]", ("2", "1"), ["reduce_sum", "reshape"]),
        ("f32[n, 3]", ("m", "3"), ["sum_to"]),
    ],
)
def test_unbroadcast_emits_what_is_needed(type_text: str, shape: tuple[str, ...], names: list[str]) -> None:
    found, result = emitted(type_text, *shape)
    assert found == names
    assert result == ("f32" + (f"[{', '.join(shape)}]" if shape else ""))


def test_shifted() -> None:
    x = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(shifted(RAW, x, 1, False), [[0, 1, 2]])
    np.testing.assert_array_equal(shifted(RAW, x, 1, True, 9.0), [[2, 3, 9]])
    assert shifted(RAW, np.zeros(0), 0, False).shape == (0,)


@pytest.mark.parametrize(("enter", "leave"), [(quiet.enter, quiet.leave), (quiet._slow_enter, quiet._slow_leave)])
def test_silence_nests_and_ends(enter: object, leave: object) -> None:
    assert callable(enter)
    assert callable(leave)
    before = np.geterr()
    with warnings.catch_warnings(), np.errstate(divide="raise"):
        warnings.simplefilter("error")
        outer = enter()
        inner = enter()
        np.float32([1]) / np.float32([0])
        leave(inner)
        np.float32([1]) / np.float32([0])
        leave(outer)
        with pytest.raises(FloatingPointError):
            np.float32([1]) / np.float32([0])
    assert np.geterr() == before


def test_an_unknown_op_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no op 'frobnicate'"):
        RAW.frobnicate(1)
