"""Arguments as text."""

from __future__ import annotations

from typing import Any

import pytest

from pullback.ir.dims import symbol
from pullback.tracer.argspec import parse_arguments
from pullback.tracer.spec import TensorSpec


@pytest.mark.parametrize(
    ("text", "args", "kwargs"),
    [
        ("", (), {}),
        ("f32[100], f32[]", (TensorSpec([100]), TensorSpec([])), {}),
        ("f32", (TensorSpec([]),), {}),
        ("float64[2,3]", (TensorSpec([2, 3], "float64"),), {}),
        ("bool[4], i64", (TensorSpec([4], "bool"), TensorSpec([], "int64")), {}),
        ("f32[n, 3], f32[2*n + 1]", (TensorSpec([symbol("n"), 3]), TensorSpec([symbol("n") * 2 + 1])), {}),
        ("3, -2.5, True, None, 'a,b'", (3, -2.5, True, None, "a,b"), {}),
        ("f32[2], k=3, y=f32[]", (TensorSpec([2]),), {"k": 3, "y": TensorSpec([])}),
        ("(f32[2], i32), [1, 2]", ((TensorSpec([2]), TensorSpec([], "int32")), [1, 2]), {}),
    ],
)
def test_parsed(text: str, args: Any, kwargs: Any) -> None:
    assert parse_arguments(text) == (args, kwargs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f33[2]", "'f33' is not a dtype"),
        ("f32[2", "unbalanced"),
        ("f32]2[", "unbalanced"),
        ("f32[-1]", "negative"),
        ("f32[2;3]", "is not a size"),
        ("f32,,f32", "missing between commas"),
        ("a=1, f32", "after a named one"),
        ("1 +", "is no argument"),
        ("'abc", "unbalanced"),
        ("__import__('os')", "is no argument"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_arguments(text)
