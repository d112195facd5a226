"""Where arrays live: reuse of the arena, results written in place, donated parameters, writes into slots without
copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pullback.codegen.buffers import Memory, Place, assign, bytes_of
from pullback.codegen.fusion import plan
from pullback.codegen.lowering import lower
from pullback.codegen.pipeline import optimise

from .compiled import array, check, function


def memory(build: Any, *arrays: Any, donate: dict[int, int] | None = None) -> Memory:
    """The memory of what `build` writes; the compiled code must be right, too, donated or not."""
    check(build, *arrays, tolerance=1e-5, donate=donate)
    return assign(plan(lower(optimise(function(build, arrays)))), donate or {})


def product(b: Any, x: Any, y: Any) -> Any:
    """A matrix product: an opaque step."""
    return b.matmul(x, y, transpose_a=False, transpose_b=False)


def test_a_chain_of_products_needs_two_buffers() -> None:
    def build(b: Any, x: Any, w: Any) -> Any:
        for _ in range(10):
            x = product(b, x, w)
        return b.reduce_sum(x, axes=(0, 1), keepdims=False)

    m = memory(build, array((16, 16)) / 10, array((16, 16), seed=1) / 10)
    assert m.scratch == 64 + 2 * 16 * 16 * 4


def test_an_elementwise_kernel_takes_over_what_dies_in_it() -> None:
    def build(b: Any, x: Any, w: Any) -> Any:
        for _ in range(5):
            x = b.tanh(product(b, x, w))
        return b.reduce_sum(x, axes=(0, 1), keepdims=False)

    m = memory(build, array((16, 16)), array((16, 16), seed=1))
    assert m.scratch == 64 + 2 * 16 * 16 * 4


def test_buffers_that_live_together_do_not_overlap() -> None:
    def build(b: Any, x: Any, w: Any) -> Any:
        a, c = product(b, x, w), product(b, w, x)
        d = product(b, a, c)
        return b.reduce_sum(b.transpose(a, perm=(1, 0)) + c * d, axes=(0,), keepdims=False)

    m = memory(build, array((9, 9)), array((9, 9), seed=1))
    spans = [(p.at, p.at + bytes_of(v)) for v, p in m.places.items() if p.kind == "scratch"]
    assert len(spans) == 3
    for k, (low, high) in enumerate(spans):
        assert low % 64 == 0
        assert all(high <= a or c <= low for a, c in spans[:k] + spans[k + 1 :])


@pytest.mark.parametrize("n", [32, 31, 25, 48])  # 4096, 3844, 2500 and 9216 bytes
def test_large_buffers_do_not_begin_at_the_same_place_of_a_page(n: int) -> None:
    """Loads wait for stores whose address has the same low 12 bits."""

    def build(b: Any, x: Any, w: Any) -> Any:
        a, c = product(b, x, w), product(b, w, x)
        return b.reduce_sum(b.transpose(a, perm=(1, 0)) + c, axes=(0,), keepdims=False)

    m = memory(build, array((n, n)), array((n, n), seed=1))
    first, second = sorted({p.at for p in m.places.values() if p.kind == "scratch"})[-2:]
    assert 1024 <= (second - first) % 4096 <= 3072
    assert second - first <= n * n * 4 + 4096


def test_results_are_written_where_they_belong() -> None:
    m = memory(lambda b, x: [x * 2.0, b.reduce_sum(x, axes=(0,), keepdims=False)], array((30, 20)))
    assert not m.copies
    assert m.scratch == 0
    assert sorted(p for p in m.places.values() if p.kind == "out") == [Place("out", 0), Place("out", 1)]


def test_a_donated_parameter_is_overwritten_element_by_element() -> None:
    m = memory(lambda b, v, g: v - g * 0.1, array((100,)), array((100,), seed=1), donate={0: 0})
    assert m.scratch == 0
    assert not m.copies


def test_a_donated_parameter_that_is_read_later_or_elsewhere_is_kept() -> None:
    x, y = array((10, 10)), array((10, 10), seed=1)
    builds: list[Any] = [
        lambda b, v, g: [b.transpose(v, perm=(1, 0)) + g],
        lambda b, v, g: [v + g, b.reduce_sum(b.reverse(v, axes=(0,)), axes=(0,), keepdims=False)],
        lambda b, v, g: [product(b, v, g)],
        lambda b, v, g: [v * g, product(b, v, g)],
        lambda b, v, g: [b.reshape(b.slice(v, starts=(9, 0), sizes=(1, 10), strides=(1, 1)), shape=(10,)) + v],
        lambda b, v, g: [v / b.reduce_max(v, axes=(0, 1), keepdims=False)],
        lambda b, v, g: [g + 1.0, v],
    ]
    for build in builds:
        memory(build, x, y, donate={0: 0})


def test_swapped_parameters() -> None:
    memory(lambda b, x, y: [y, x], array((50,)), array((50,), seed=1), donate={0: 0, 1: 1})
    memory(lambda b, x, y, z: [y, z, x], *(array((50,), seed=k) for k in range(3)), donate={0: 0, 1: 1, 2: 2})
    memory(lambda b, x, y: [y + 1.0, x], array((50,)), array((50,), seed=1), donate={0: 0, 1: 1})
    memory(lambda b, x, y: [x, y, x + y], array((50,)), array((50,), seed=1), donate={0: 0, 2: 1})


def test_donated_scalars() -> None:
    one = np.asarray(3, np.int64)
    memory(lambda b, n, x: [n + 1, x * b.cast(n, dtype=x.type.dtype)], one, array((5,)), donate={0: 0, 1: 1})


def test_a_chain_of_writes_stays_in_one_buffer() -> None:
    def build(b: Any, x: Any, v: Any) -> Any:
        y = x * 1.0 + 1.0
        for k in range(6):
            y = b.update(y, v * float(k), starts=(k, 0), strides=(1, 1))
        return y

    m = memory(build, array((8, 30)), array((1, 30), seed=1))
    assert m.scratch == 0
    assert not m.copies


def test_a_write_into_a_donated_parameter_is_in_place_and_others_copy() -> None:
    x, v = array((8, 30)), array((1, 30), seed=1)
    m = memory(lambda b, x, v: b.update(x, v, starts=(2, 0), strides=(1, 1)), x, v, donate={0: 0})
    assert m.scratch == 0
    assert not m.copies

    def both(b: Any, x: Any, v: Any) -> Any:
        return [b.update(x, v, starts=(2, 0), strides=(1, 1)), b.add_at(x, v, starts=(3, 0), strides=(1, 1)), x * 2.0]

    memory(both, x, v, donate={0: 0})
    memory(both, x, v, donate={1: 0})


def test_a_write_whose_value_reads_the_base_shifted_sees_the_old_elements() -> None:
    def build(b: Any, x: Any) -> Any:
        y = x * 2.0
        row = b.slice(y, starts=(0,), sizes=(39,), strides=(1,))
        z = b.update(y, row, starts=(1,), strides=(1,))
        return b.add_at(z, b.reverse(z, axes=(0,)), starts=(0,), strides=(1,))

    memory(build, array((40,)), donate={0: 0})


def test_scatter_into_a_dead_base_is_in_place() -> None:
    i = np.array([1, 1, 3], np.int64)

    def build(b: Any, x: Any, i: Any, v: Any) -> Any:
        return b.scatter_add(b.exp(x), i, v, axis=0, batch_dims=0)

    m = memory(build, array((5, 20)), i, array((3, 20), seed=1))
    assert m.scratch == 0
    x, v = array((5, 20)), array((3, 20), seed=1)
    memory(lambda b, x, i, v: b.scatter_add(x, i, v, axis=0, batch_dims=0), x, i, v, donate={0: 0})


def test_an_update_that_one_kernel_alone_needs_takes_no_memory() -> None:
    """Its slot is read back in the kernel that writes it; the array itself is never stored."""
    inner, all_ = {"starts": (1, 0), "strides": (1, 1)}, {"sizes": (3, 4), "strides": (1, 1)}

    def build(b: Any, h: Any, u: Any, w: Any) -> Any:
        flux = u
        for _ in range(3):
            down = b.slice(h, starts=(1, 0), **all_) - b.slice(h, starts=(0, 0), **all_)
            u = b.update(u, b.slice(u, starts=(1, 0), **all_) - down, **inner)
            u = b.update(u, b.slice(u, starts=(1, 0), **all_), **inner)
            flux = b.update(flux, b.slice(u, starts=(1, 0), **all_) * w, **inner)
            ends = [b.slice(flux, starts=(k, 0), sizes=(4, 4), strides=(1, 1)) for k in (1, 0)]
            h = h - (ends[0] - ends[1])
        return b.reduce_sum(h, axes=(0, 1), keepdims=False)

    memory(build, array((4, 4)), array((5, 4), seed=1), array((), seed=2))
