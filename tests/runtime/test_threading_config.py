"""`config.threading`."""

from __future__ import annotations

from typing import Any

import pytest

import pullback as pb


def test_numbers_are_kept() -> None:
    of = pb.config.threading
    assert (of.get_intra_op_parallelism_threads(), of.get_inter_op_parallelism_threads()) == (0, 0)
    try:
        of.set_intra_op_parallelism_threads(3)
        of.set_inter_op_parallelism_threads(2)
        assert (of.get_intra_op_parallelism_threads(), of.get_inter_op_parallelism_threads()) == (3, 2)
    finally:
        of.set_intra_op_parallelism_threads(0)
        of.set_inter_op_parallelism_threads(0)


@pytest.mark.parametrize("bad", [-1, 1.5, "2", True, None])
def test_bad_numbers(bad: Any) -> None:
    for name in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
        with pytest.raises(ValueError, match=name):
            getattr(pb.config.threading, name)(bad)
