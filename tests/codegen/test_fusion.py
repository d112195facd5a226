"""Which steps a function becomes: what shares a loop nest, what gets a buffer, what is read in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.codegen.compile import Executable, compile_function
from pullback.codegen.fusion import plan
from pullback.codegen.lowering import lower
from pullback.codegen.pipeline import optimise
from pullback.codegen.plan import Call, Kernel, Plan
from pullback.ir.reverse import reverse

from .compiled import array, check, check_function, function


def planned(build: Any, *arrays: Any) -> Plan:
    """The plan for what `build` writes; the compiled code must be right, too."""
    check(build, *arrays, tolerance=1e-5)
    return plan(lower(optimise(function(build, arrays))))


def total(b: Any, x: Any, *axes: int) -> Any:
    """A sum."""
    return b.reduce_sum(x, axes=axes, keepdims=False)


def test_value_and_gradient_are_one_pass() -> None:
    fn = function(lambda b, x: total(b, b.tanh(x) * b.exp(-x * x) + b.sin(x), 0), [array((1000,))])
    both = reverse(fn, wrt=(0,), keep_primal=True)
    steps = plan(lower(optimise(both))).steps
    assert [type(s) for s in steps] == [Kernel]
    check_function(both, [array((1000,)), np.ones((), np.float32)], 1e-5)


def test_chains_need_no_buffers() -> None:
    p = planned(lambda b, x, y: b.exp(x * y + x) - y, array((50, 7)), array((7,)))
    (kernel,) = p.steps
    assert isinstance(kernel, Kernel)
    assert len(kernel.roots) == 1


def test_reductions_of_nested_axes_share_a_nest_and_others_do_not() -> None:
    x = array((20, 30))
    assert len(planned(lambda b, x: [total(b, x, 0, 1), total(b, x, 1), x * 2.0], x).steps) == 1
    assert len(planned(lambda b, x: [total(b, x, 0, 1), total(b, x, 0), x * 2.0], x).steps) == 1
    assert len(planned(lambda b, x: [total(b, x, 0), total(b, x, 1)], x).steps) == 2


def test_what_needs_a_finished_reduction_comes_after_it() -> None:
    p = planned(lambda b, x: x / total(b, x * x, 0), array((100,)))
    assert len(p.steps) == 2
    p = planned(lambda b, x: x - b.reduce_max(x, axes=(1,), keepdims=True), array((10, 20)))
    assert len(p.steps) == 2


def test_a_dear_value_that_two_nests_need_is_stored_and_a_cheap_one_is_not() -> None:
    def dear(b: Any, x: Any) -> Any:
        y = b.exp(x)
        return y / b.reduce_sum(y, axes=(1,), keepdims=True)

    def cheap(b: Any, x: Any) -> Any:
        y = x + 1.0
        return y / b.reduce_sum(y, axes=(1,), keepdims=True)

    kernels = [s for s in planned(dear, array((100, 50))).steps if isinstance(s, Kernel)]
    assert [len(k.targets) for k in kernels] == [2, 1]
    kernels = [s for s in planned(cheap, array((100, 50))).steps if isinstance(s, Kernel)]
    assert [len(k.targets) for k in kernels] == [1, 1]


def test_a_dear_row_is_not_computed_again_for_every_column() -> None:
    p = planned(lambda b, x, r: x * b.exp(r), array((300, 40)), array((40,)))
    assert len(p.steps) == 2
    p = planned(lambda b, x, r: x * -r, array((4, 40)), array((40,)))
    assert len(p.steps) == 1


def test_updates_of_variables_of_one_shape_share_a_nest() -> None:
    def build(b: Any, p: Any, q: Any, g: Any, h: Any) -> Any:
        return [p - g * 0.1, q - h * 0.1]

    assert len(planned(build, *(array((64, 10), seed=k) for k in range(4))).steps) == 1
    shapes = [(64, 10), (10,), (64, 10), (10,)]
    assert len(planned(build, *(array(s) for s in shapes)).steps) == 2


def test_a_product_between_two_kernels_keeps_them_apart() -> None:
    def build(b: Any, x: Any, w: Any) -> Any:
        h = b.tanh(x)
        y = b.matmul(h, w, transpose_a=False, transpose_b=False)
        return [h, y * x]

    kinds = [type(s) for s in planned(build, array((8, 8)), array((8, 8), seed=1)).steps]
    assert kinds == [Kernel, Call, Kernel]


def test_equal_reductions_are_done_once() -> None:
    def build(b: Any, x: Any) -> Any:
        y = b.exp(x)
        return [b.reduce_sum(y, axes=(1,), keepdims=False), b.reduce_sum(y, axes=(1,), keepdims=True)]

    (kernel,) = planned(build, array((20, 30))).steps
    assert isinstance(kernel, Kernel)
    assert sum(bool(r.reduce) for r in kernel.roots) == 1


def test_reshapes_of_buffers_are_free_and_others_are_fused_where_addresses_stay_affine() -> None:
    p = planned(lambda b, x: b.reshape(b.reshape(x, shape=(4, 5, 6)), shape=(20, 6)) * 2.0, array((120,)))
    assert len(p.steps) == 1
    p = planned(lambda b, x, y: b.reshape(x * y, shape=(6, 20)) + 1.0, array((4, 30)), array((4, 30), seed=1))
    assert len(p.steps) == 1


def test_code_stays_linear_in_the_program() -> None:
    def lines(n: int) -> int:
        def build(b: Any, x: Any, w: Any) -> Any:
            outs = []
            for k in range(n):
                x = b.tanh(x) + x * (k + 0.5)
                outs.append(total(b, b.matmul(x, w, transpose_a=False, transpose_b=False), 0, 1))
            return outs

        exe: Executable = check(build, array((6, 6), "float64"), array((6, 6), "float64", 1), tolerance=1e-9)
        return len(exe.llvm.splitlines())

    assert lines(24) < 2.6 * lines(12)


def test_the_plan_says_what_is_not_in_the_kernel_before_and_why() -> None:
    def text(build: Any, *arrays: Any) -> str:
        return compile_function(optimise(function(build, arrays))).kernels

    x, y = array((20, 30)), array((20, 30), seed=1)
    assert "apart from k0: %2 is complete only after that loop" in text(lambda b, x: x / total(b, x * x, 0, 1), x)
    assert "apart from k0: %2 is reduced over other levels" in text(lambda b, x: [total(b, x, 0), total(b, x, 1)], x)
    assert "apart" not in text(lambda b, x, y: [b.sin(x), b.cos(y)], x, y)


def test_the_plan_says_what_a_buffer_is_for_unless_the_program_needs_it() -> None:
    def softmax(b: Any, x: Any) -> Any:
        e = b.exp(x)
        return e / b.reduce_sum(e, axes=(1,), keepdims=True)

    text = compile_function(optimise(function(softmax, [array((20, 30))]))).kernels
    stores = [line for line in text.splitlines() if "store" in line]
    assert ["(computing it again costs more than reading it)" in line for line in stores] == [True, False]
