"""Compiled methods: one set of traces for each instance, which dies with the instance."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import numpy as np
import pytest

import pullback as pb


class Scale:
    def __init__(self, k: float) -> None:
        self.k = k
        self.v = pb.Variable(k)

    @pb.function
    def call(self, x: Any, extra: float = 0.0) -> Any:
        return x * self.k + self.v + extra

    @pb.function(input_signature=[pb.TensorSpec([None])])
    def declared(self, x: Any) -> Any:
        return x * self.k

    @staticmethod
    @pb.function
    def static(x: Any) -> Any:
        return x + 1.0

    @classmethod
    def make(cls) -> Scale:
        return cls(7.0)


def test_instances_have_their_own_traces() -> None:
    a, b = Scale(2.0), Scale(5.0)
    x = pb.constant(3.0)
    for _ in range(3):
        assert float(a.call(x)) == 8.0
        assert float(b.call(x)) == 20.0
        assert float(a.call(x, extra=1.0)) == 9.0
    assert a.call.trace_count == 2
    assert b.call.trace_count == 1
    assert Scale.call.trace_count == 0
    assert a.call == a.call
    assert a.call != b.call
    assert a.call.python_function(x).numpy() == 8.0


def test_signature_without_self_and_static_methods() -> None:
    a = Scale(2.0)
    assert a.declared([1, 2]).numpy().tolist() == [2.0, 4.0]
    assert a.declared.get_concrete_function()(pb.ones([3])).shape == [3]
    assert float(Scale.static(pb.constant(1.0))) == 2.0
    assert float(Scale.make().call(pb.constant(1.0))) == 14.0


def test_unbound_call_with_the_instance() -> None:
    a = Scale(2.0)
    assert float(Scale.call(a, pb.constant(3.0))) == 8.0


def test_instance_is_not_kept_alive() -> None:
    a = Scale(2.0)
    v = weakref.ref(a.v)
    a.call(pb.constant(1.0))
    ref = weakref.ref(a)
    bound = a.call
    del a
    assert float(bound(pb.constant(1.0))) == 4.0  # a bound method holds its object
    del bound
    gc.collect()
    assert ref() is None
    assert v() is None
    assert Scale.call._methods is not None
    assert all(r() is not None for r, _ in Scale.call._methods.entries.values())


def test_temporary_instance() -> None:
    assert float(Scale(3.0).call(pb.constant(2.0))) == 9.0


def test_copies_have_their_own() -> None:
    a = Scale(2.0)
    a.call(pb.constant(1.0))
    b = copy.copy(a)
    b.k = 10.0
    assert float(b.call(pb.constant(1.0))) == 12.0


def test_instances_without_hash_weakref_or_dict() -> None:
    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            return True

        @pb.function
        def f(self, x: Any) -> Any:
            return x + float(id(self) == me)

    one, two = Odd(), Odd()
    me = id(one)
    assert [float(o.f(pb.constant(0.0))) for o in (one, two, one)] == [1.0, 0.0, 1.0]

    class Slotted:
        __slots__ = ("k",)

        @pb.function
        def f(self, x: Any) -> Any:
            return x * self.k

    s = Slotted()
    s.k = 4.0
    assert float(s.f(pb.constant(2.0))) == 8.0


def test_gradient_through_a_method() -> None:
    a = Scale(2.0)
    x = pb.constant([1.0, 2.0])
    with pb.GradientTape() as t:
        t.watch(x)
        y = a.call(x)
    gx, gv = t.gradient(y, [x, a.v])
    assert np.array_equal(gx, [2.0, 2.0])
    assert float(gv) == 2.0


def test_wrong_arguments_do_not_count_self() -> None:
    with pytest.raises(TypeError, match=r"call\(x, extra=0.0\): missing"):
        Scale(1.0).call()
