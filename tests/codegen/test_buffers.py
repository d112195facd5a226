"""Where arrays live: sharing memory must never be seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.ir import ops as _ops  # noqa: F401  fills the op table

from .compiled import array, check


def test_two_updates_of_one_base_do_not_share_its_memory() -> None:
    # Found through a jacobian in a compiled function: CSE merges the zeros that several slots are added to.
    def build(b: Any, x: Any) -> Any:
        zeros = b.zeros_like(x)
        outs = []
        for k in range(3):
            total = b.reduce_sum(x * float(k + 1), axes=(0,), keepdims=True)
            outs.append(b.add_at(zeros, total, starts=(k,), strides=(1,)) * 2.0)
        return outs

    check(build, array((5,)), tolerance=1e-5)


def test_an_updated_base_that_is_still_read_keeps_its_values() -> None:
    def build(b: Any, x: Any) -> Any:
        base = b.exp(x)
        first = b.update(base, b.const(np.zeros(2), b.dtype(x)), starts=(1,), strides=(1,))
        second = b.update(first, b.const(np.ones(2), b.dtype(x)), starts=(2,), strides=(1,))
        return [first + second, base]

    check(build, array((7,)), tolerance=1e-5)
