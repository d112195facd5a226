"""TensorShape."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import pullback as pb

S, U = pb.TensorShape([2, None, 3]), pb.TensorShape(None)


def test_text() -> None:
    assert (str(S), repr(S)) == ("(2, None, 3)", "TensorShape([2, None, 3])")
    assert (str(U), repr(U)) == ("<unknown>", "TensorShape(None)")
    assert str(pb.TensorShape([5])) == "(5,)"
    assert str(pb.TensorShape([])) == "()"


def test_parts() -> None:
    assert S.rank == 3
    assert U.rank is None
    assert S.as_list() == [2, None, 3]
    assert S[0] == 2
    assert S[1] is None
    assert S[1:] == [None, 3]
    assert U[0] is None
    assert list(pb.TensorShape([2, 3])) == [2, 3]
    assert len(S) == 3
    assert S.num_elements() is None
    assert pb.TensorShape([2, 3]).num_elements() == 6
    assert pb.TensorShape([])
    assert not U
    assert np.zeros(pb.TensorShape([2, 1])).shape == (2, 1)  # type: ignore[call-overload]
    assert not S.is_fully_defined()


def test_relations() -> None:
    assert S.is_compatible_with([2, 5, 3])
    assert not S.is_compatible_with([3, 5, 3])
    assert S.is_compatible_with(U)
    assert S.merge_with([2, 7, None]) == [2, 7, 3]
    assert S.concatenate([1]) == [2, None, 3, 1]
    three = [3]
    assert pb.TensorShape([1, 2]) + three == [1, 2, 3]
    assert three + pb.TensorShape([1]) == [3, 1]
    assert S.most_specific_compatible_shape([2, 4, 4]) == [2, None, None]
    assert pb.TensorShape([2]) == pb.TensorShape([2])
    assert pb.TensorShape([2]) == (2,)
    assert hash(pb.TensorShape([2])) == hash(pb.TensorShape((2,)))
    assert pickle.loads(pickle.dumps(S)) == S
    assert S.with_rank(3) == [2, None, 3]


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda: U.as_list(), ValueError), (lambda: len(U), ValueError), (lambda: S.merge_with([3, 1, 1]), ValueError),
        (lambda: S.with_rank(2), ValueError), (lambda: S.assert_is_fully_defined(), ValueError),
        (lambda: pb.TensorShape([-1]), ValueError), (lambda: pb.TensorShape([1.5]), TypeError),
        (lambda: pb.TensorShape(["a"]), TypeError), (lambda: S.assert_has_rank(1), ValueError),
    ],
)  # fmt: skip
def test_refused(use: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        use()
