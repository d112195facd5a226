"""`pb.function`: calls, outputs, caching and retracing, variables, signatures, eager runs."""

from __future__ import annotations

import collections
import copy
import functools
import gc
import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pullback as pb

Pair = collections.namedtuple("Pair", "a b")
X = pb.constant([1.0, 2.0, 3.0])


def counted(**options: Any) -> tuple[Any, list[int]]:
    log: list[int] = []

    def f(*a: Any, **k: Any) -> Any:
        log.append(1)
        return pb.constant(0)

    return pb.function(f, **options), log


@pytest.fixture
def eagerly() -> Iterator[None]:
    pb.config.run_functions_eagerly(True)
    yield
    pb.config.run_functions_eagerly(False)


# ---------------------------------------------------------------- calls and results
def test_kinds_of_arguments() -> None:
    @pb.function
    def f(x: Any, *args: Any, scale: float = 2.0, **kw: Any) -> Any:
        y = x * scale
        for a in args:
            y += a
        for k in sorted(kw):
            y -= kw[k]
        return y

    x = np.array([1.0, 2.0, 3.0], np.float32)
    assert np.array_equal(f(X), x * 2)
    assert np.array_equal(f(X, X, X), x * 4)
    assert np.array_equal(f(X, scale=5.0), x * 5)
    assert np.array_equal(f(X, b=X, a=X), x * 0)
    assert np.array_equal(f(x=X), x * 2)


def test_structures_in_and_out() -> None:
    @pb.function
    def f(d: Any) -> Any:
        p = d["p"]
        return {"s": p.a + p.b[0], "l": [p.a, (p.b[1], None)], "p": Pair(p.a * 2.0, [])}

    out = f({"p": Pair(X, [X, X * 3.0])})
    assert list(out) == ["s", "l", "p"]
    assert isinstance(out["p"], Pair)
    assert out["p"].b == []
    assert out["l"][1][1] is None
    assert np.array_equal(out["s"], X.numpy() * 2)
    assert np.array_equal(out["l"][1][0], X.numpy() * 3)


@pytest.mark.parametrize(
    ("result", "dtype"),
    [(3, "int32"), (2.5, "float32"), (True, "bool"), (np.float64(1), "float64"), ([[1, 2]], "int32")],
)
def test_python_results_become_tensors(result: Any, dtype: str) -> None:
    out = pb.function(lambda: result)()
    flat = out[0][0] if isinstance(out, list) else out
    assert isinstance(flat, pb.Tensor)
    assert flat.dtype == dtype


def test_none_and_empty_results() -> None:
    assert pb.function(lambda x: None)(X) is None
    assert pb.function(lambda x: ())(X) == ()
    assert pb.function(lambda x: [])(X) == []


def test_result_that_is_no_tensor() -> None:
    f = pb.function(lambda: object())
    with pytest.raises(TypeError, match="neither a tensor nor a structure of tensors"):
        f()


def test_same_value_returned_twice_and_arguments_returned() -> None:
    @pb.function
    def f(x: Any, y: Any) -> Any:
        z = x + y
        return z, x, z, y, y

    x = pb.constant([1.0, 2.0])
    for _ in range(3):
        out = f(x, x * 2.0)
        assert [t.numpy().tolist() for t in out] == [[3.0, 6.0], [1.0, 2.0], [3.0, 6.0], [2.0, 4.0], [2.0, 4.0]]


def test_ndarray_arguments_are_tensors_and_copied() -> None:
    f = pb.function(lambda x: x)
    a = np.array([1.0, 2.0])
    out = f(a)
    a[0] = 9.0
    assert out.numpy().tolist() == [1.0, 2.0]
    assert np.array_equal(f(a[::-1]), [2.0, 9.0])
    assert f.trace_count == 1


def test_lambda_partial_nested_and_recursive_functions() -> None:
    def scaled(k: float, x: Any) -> Any:
        return x * k

    f = pb.function(functools.partial(scaled, 3.0))
    assert np.array_equal(f(X), X.numpy() * 3)

    @pb.function
    def power(x: Any, n: int) -> Any:
        return x if n == 0 else power(x * 2.0, n - 1)

    assert float(power(pb.constant(1.0), 4)) == 16.0
    g = pb.function(lambda x: f(x) + f(x * 2.0))
    assert np.array_equal(g(X), X.numpy() * 9)
    assert f.trace_count == 1


def test_function_made_inside_a_trace_uses_its_tensors() -> None:
    @pb.function
    def outer(x: Any) -> Any:
        y = x * 2.0
        inner = pb.function(lambda z: z + y)
        return inner(x) + inner(x)

    assert float(outer(pb.constant(1.0))) == 6.0
    assert float(outer(pb.constant(2.0))) == 12.0


def test_closure_over_a_tensor_of_the_trace_is_traced_again_in_the_next_trace() -> None:
    box: list[Any] = []
    inner = pb.function(lambda z: z + box[-1])

    @pb.function
    def outer(x: Any, k: int) -> Any:
        box.append(x * float(k))
        return inner(x)

    assert float(outer(pb.constant(1.0), 2)) == 3.0
    assert float(outer(pb.constant(1.0), 5)) == 6.0
    box.append(pb.constant(10.0))
    assert float(inner(pb.constant(1.0))) == 11.0


# ---------------------------------------------------------------- keys and retracing
def test_python_values_count_by_type_and_value() -> None:
    f, log = counted()
    values: list[Any] = [1, 1, 2, 1.0, True, 1, 1.0, True, "a", "a", b"a", None, None]
    counts = []
    for v in values:
        f(v)
        counts.append(len(log))
    assert counts == [1, 1, 2, 3, 4, 4, 4, 4, 5, 5, 6, 7, 7]


def test_one_and_one_point_zero_give_their_own_results() -> None:
    f = pb.function(lambda x: x * 2)
    assert [f(v).dtype.name for v in (1, 1.0, 1)] == ["int32", "float32", "int32"]


def test_tensors_count_by_dtype_and_shape() -> None:
    f, log = counted()
    for a in (X, X * 2.0, X.numpy(), pb.ones([2]), pb.constant([1, 2, 3]), pb.ones([2])):
        f(a)
    assert len(log) == 3


def test_objects_count_by_identity_and_are_not_kept_alive() -> None:
    class Thing:
        k = 1.0

    f = pb.function(lambda o, x: x * o.k)
    a, b = Thing(), Thing()
    b.k = 5.0
    assert [float(f(o, pb.constant(2.0))) for o in (a, a, b, a)] == [2.0, 2.0, 10.0, 2.0]
    assert f.trace_count == 2
    dead = weakref.ref(a)
    del a
    gc.collect()
    assert dead() is None
    assert len(f._cache) == 1


def test_same_call_written_differently_is_one_trace() -> None:
    @pb.function
    def f(a: Any, b: int = 2, c: int = 3) -> Any:
        return a

    f(X)
    f(a=X)
    f(X, 2)
    f(X, c=3)
    f(c=3, a=X, b=2)
    assert f.trace_count == 1
    f(X, b=4)
    assert f.trace_count == 2


def test_reduce_retracing_makes_sizes_symbols() -> None:
    f = pb.function(lambda x, y: pb.reduce_sum(x * 2.0) + y, reduce_retracing=True)
    for n in range(1, 8):
        assert float(f(pb.ones([n, 2]), pb.constant(1.0))) == 4 * n + 1
    assert f.trace_count == 2
    assert f._concretes[1].is_symbolic
    assert "symbols" in f.explain()


def test_get_concrete_function_with_open_sizes_serves_later_calls() -> None:
    f = pb.function(lambda x: x * 2.0)
    cf = f.get_concrete_function(pb.TensorSpec([None]))
    assert cf(pb.ones([2])).shape == [2]
    assert f(pb.ones([5])).shape == [5]
    assert f.trace_count == 1


def test_error_while_tracing_is_not_remembered() -> None:
    f = pb.function(lambda x: pb.reshape(x, [3]))
    with pytest.raises(ValueError, match="reshape"):
        f(pb.ones([2]))
    assert f(pb.ones([3])).shape == [3]
    assert f.trace_count == 1


# ---------------------------------------------------------------- input_signature
def test_input_signature_checks_and_converts() -> None:
    f = pb.function(lambda x: x * 2.0, input_signature=[pb.TensorSpec([None])])
    assert np.array_equal(f([1, 2]), [2.0, 4.0])
    assert np.array_equal(f(np.array([1.0])), [2.0])
    assert f.trace_count == 1
    for bad in (pb.ones([2, 2]), pb.constant([1, 2]), "text", None):
        with pytest.raises(TypeError, match=r"argument 'x' does not fit its input_signature.*test_function.py"):
            f(bad)
    with pytest.raises(TypeError):
        f()
    with pytest.raises(TypeError):
        f(X, X)


def test_input_signature_nested_and_named() -> None:
    @pb.function(input_signature=[{"a": pb.TensorSpec([], "int32"), "b": [pb.TensorSpec([None], name="bias")]}])
    def f(d: Any) -> Any:
        return pb.cast(d["a"], pb.float32) * d["b"][0]

    assert np.array_equal(f({"a": 3, "b": [X]}), X.numpy() * 3)
    assert [p.name for p in f.get_concrete_function().ir.params] == ["d_a", "bias"]
    with pytest.raises(TypeError):
        f({"a": 3})
    with pytest.raises(TypeError):
        f({"a": 3, "b": []})


def test_input_signature_of_any_rank() -> None:
    f = pb.function(lambda x: pb.reduce_sum(x * 2.0), input_signature=[pb.TensorSpec(None)])
    assert [float(f(pb.ones(s))) for s in ([], [2], [3], [2, 3], [4, 5])] == [2.0, 4.0, 6.0, 12.0, 40.0]
    assert f.trace_count == 3
    with pytest.raises(ValueError, match="number of dimensions"):
        f.get_concrete_function()


def test_set_shape_fixes_a_size() -> None:
    seen: list[Any] = []

    @pb.function(input_signature=[pb.TensorSpec([None, 2])])
    def f(x: Any) -> Any:
        y = x * 2.0
        y.set_shape([3, None])
        seen.append((x.shape.as_list(), y.shape.as_list()))
        return y

    assert f(pb.ones([3, 2])).shape == [3, 2]
    assert seen == [([3, 2], [3, 2])]
    with pytest.raises(ValueError, match="compatible"):
        f(pb.ones([4, 2]))


def test_input_signature_must_fit_the_parameters() -> None:
    with pytest.raises(TypeError, match="takes 1"):
        pb.function(lambda x: x, input_signature=[pb.TensorSpec([]), pb.TensorSpec([])])
    with pytest.raises(ValueError, match="no entry for 'y'"):
        pb.function(lambda x, y: x, input_signature=[pb.TensorSpec([])])
    with pytest.raises(TypeError, match="tuple or list"):
        pb.function(lambda x: x, input_signature=pb.TensorSpec([]))
    assert float(pb.function(lambda x, k=3.0: x * k, input_signature=[pb.TensorSpec([])])(2)) == 6.0


# ---------------------------------------------------------------- variables
def test_variables_are_read_and_assigned_in_order() -> None:
    v, w = pb.Variable(1.0), pb.Variable([1.0, 2.0])

    @pb.function
    def f(x: Any) -> Any:
        a = v * 10.0
        v.assign_add(x)
        w[0].assign(v * 2.0)
        b = v + 0.0
        v.assign(100.0)
        return a, b, w + 0.0

    a, b, c = f(pb.constant(2.0))
    assert (float(a), float(b), float(v)) == (10.0, 3.0, 100.0)
    assert c.numpy().tolist() == w.numpy().tolist() == [6.0, 2.0]
    a, b, c = f(pb.constant(1.0))
    assert (float(a), float(b), float(v)) == (1000.0, 101.0, 100.0)


def test_tensor_read_before_an_assignment_keeps_its_value() -> None:
    v = pb.Variable([1.0, 2.0])
    step = pb.function(lambda: v.assign_add([1.0, 1.0]))
    step()
    old, held = v.value(), v.value().numpy()
    for _ in range(3):
        step()
    assert old.numpy().tolist() == held.tolist() == [2.0, 3.0]
    assert v.numpy().tolist() == [5.0, 6.0]


def test_variable_swap_and_assign_from_one_another() -> None:
    v, w = pb.Variable(pb.ones([100])), pb.Variable(pb.zeros([100]))

    @pb.function
    def swap() -> None:
        a, b = v + 0.0, w + 0.0
        v.assign(b)
        w.assign(a)

    for i in range(4):
        swap()
        assert float(v[0]) == (i + 1) % 2 * 0.0 + (0.0 if i % 2 == 0 else 1.0)
        assert float(w[99]) == (1.0 if i % 2 == 0 else 0.0)

    @pb.function
    def alias() -> None:
        v.assign(w)
        w.assign_add(pb.ones([100]))

    alias()
    alias()
    assert float(w[0]) - float(v[0]) == 1.0


def test_variable_created_once() -> None:
    class Model:
        v: Any = None

        @pb.function
        def __call__(self, x: Any) -> Any:
            if self.v is None:
                self.v = pb.Variable(x.shape[0] * 2.0)
            return x * self.v

    m = Model()
    assert np.array_equal(m(X), X.numpy() * 6)
    m.v.assign(1.0)
    assert np.array_equal(m(X), X.numpy())
    m.v = None
    with pytest.raises(ValueError, match="not its first"):
        m(pb.ones([7]))


def test_variable_created_on_every_call_is_refused() -> None:
    @pb.function
    def f(x: Any) -> Any:
        v = pb.Variable(1.0, name="local")
        return x * v

    with pytest.raises(ValueError, match=r"'f' makes the Variable 'local' each time .*\[test_function\.py:380\]"):
        f(pb.constant(1.0))


def test_initial_value_from_ops_but_not_from_arguments() -> None:
    kept: list[Any] = []

    @pb.function
    def f(x: Any) -> Any:
        if not kept:
            kept.append(pb.Variable(pb.ones([70]) * 3.0))
        return x * kept[0]

    assert np.array_equal(f(pb.constant(2.0)), np.full(70, 6.0))

    @pb.function
    def g(x: Any) -> Any:
        kept.append(pb.Variable(x * 2.0))
        return x

    with pytest.raises(ValueError, match="depends on the function's arguments"):
        g(pb.constant(1.0))


def test_variable_as_argument_is_the_variable() -> None:
    @pb.function
    def f(v: Any, x: Any) -> Any:
        v.assign_add(x)
        return v * 1.0

    a, b = pb.Variable(1.0), pb.Variable(10.0)
    assert float(f(a, pb.constant(2.0))) == 3.0
    assert float(f(b, pb.constant(2.0))) == 12.0
    assert float(f(a, pb.constant(2.0))) == 5.0
    assert (float(a), float(b)) == (5.0, 12.0)


def test_variable_returned() -> None:
    v = pb.Variable(3.0)
    out = pb.function(lambda: v)()
    v.assign(5.0)
    assert float(out) == 3.0
    assert isinstance(out, pb.Tensor)


def test_init_scope_makes_variables_in_later_traces() -> None:
    made: list[Any] = []

    @pb.function
    def f(x: Any) -> Any:
        assert not pb.executing_eagerly()
        assert pb.inside_function()
        with pb.init_scope():
            assert pb.executing_eagerly()
            made.append(pb.Variable(float(len(made))))
        return x + made[-1]

    assert float(f(pb.constant(1.0))) == 1.0
    assert f(pb.ones([2])).numpy().tolist() == [2.0, 2.0]
    assert pb.executing_eagerly()
    assert not pb.inside_function()


# ---------------------------------------------------------------- eager runs, attributes
def test_run_functions_eagerly(eagerly: None) -> None:
    log: list[bool] = []

    @pb.function
    def f(x: Any) -> Any:
        log.append(pb.executing_eagerly())
        return x if x > 0 else -x

    assert float(f(pb.constant(-2.0))) == 2.0
    assert float(f(pb.constant(3.0))) == 3.0
    assert log == [True, True]
    assert f.trace_count == 0


def test_eager_switch_overrules_native_entries() -> None:
    log: list[int] = []

    @pb.function
    def f(x: Any) -> Any:
        log.append(1)
        return x + 1.0

    for _ in range(3):
        f(X)
    pb.config.run_functions_eagerly(True)
    try:
        f(X)
        f(X)
    finally:
        pb.config.run_functions_eagerly(False)
    f(X)
    assert len(log) == 3


def test_looks_like_the_python_function() -> None:
    def named(x: Any) -> Any:
        """Doc text."""
        return x

    f = pb.function(named)
    assert (f.__name__, f.__doc__, f.__wrapped__, f.python_function) == ("named", "Doc text.", named, named)
    assert f.__module__ == __name__
    assert "named(x)" in repr(f)
    assert copy.copy(f) is f
    assert copy.deepcopy(f) is f
    assert pb.function(f).python_function is named
    with pytest.raises(TypeError, match="callable"):
        pb.function(3)  # type: ignore[arg-type]


@pb.function
def module_level(x: Any) -> Any:
    return x * 2.0


def test_pickled_by_its_python_function() -> None:
    def inner(x: Any) -> Any:
        return x

    again = pickle.loads(pickle.dumps([1, 2]))
    assert again == [1, 2]
    rebuild, state = module_level.__reduce__()
    assert np.array_equal(rebuild(*state)(X), X.numpy() * 2)


def test_options_are_accepted() -> None:
    f = pb.function(
        lambda x: x, jit_compile=True, autograph=False, reduce_retracing=False, experimental_relax_shapes=True
    )
    assert float(f(pb.constant(1.0))) == 1.0


# ---------------------------------------------------------------- concrete functions
def test_concrete_function_describes_itself() -> None:
    v = pb.Variable(2.0)
    c = pb.constant(np.arange(20.0, dtype=np.float32))

    @pb.function
    def f(x: Any, n: int, d: Any) -> Any:
        return {"y": x * v * float(n), "z": [d["k"] + c]}

    cf = f.get_concrete_function(pb.TensorSpec([2]), 3, {"k": pb.TensorSpec([20])})
    assert cf.structured_input_signature == ((pb.TensorSpec([2]), 3, {"k": pb.TensorSpec([20])}), {})
    assert cf.structured_outputs["y"].shape == [2]
    assert cf.structured_outputs["z"][0].dtype == pb.float32
    assert cf.variables == cf.trainable_variables == (v,)
    assert any(t is c for t in cf.captured_inputs)
    assert [s.shape.as_list() for s in cf.inputs] == [[2], [20], [20], []]
    assert [s.shape.as_list() for s in cf.outputs] == [[2], [20]]
    assert "f(x: f32[2], d_k: f32[20])" in repr(cf)
    out = cf(pb.ones([2]), {"k": pb.zeros([20])})
    assert out["y"].numpy().tolist() == [6.0, 6.0]
    assert np.array_equal(out["z"][0], c)
    out = cf(pb.ones([2]), 3, {"k": pb.zeros([20])})
    assert out["y"].numpy().tolist() == [6.0, 6.0]
    assert np.array_equal(cf(x=pb.ones([2]), d_k=pb.zeros([20]))["y"], [6.0, 6.0])
    assert len(cf.graph.get_operations()) > 3


def test_concrete_function_checks_its_arguments() -> None:
    cf = pb.function(lambda x, y: x + y).get_concrete_function(pb.TensorSpec([2]), pb.TensorSpec([2]))
    with pytest.raises(TypeError, match="takes 2 tensors, found 1"):
        cf(pb.ones([2]))
    with pytest.raises(TypeError, match="must be"):
        cf(pb.ones([2]), pb.constant([1, 2]))
    with pytest.raises(ValueError, match="must be"):
        cf(pb.ones([2]), pb.ones([3]))
    with pytest.raises(TypeError):
        cf(pb.ones([2]), pb.ones([2]), pb.ones([2]))


def test_signatures_of_all_traces() -> None:
    f = pb.function(lambda x: x)
    f(pb.ones([2]))
    f(pb.constant(1))
    assert f.pretty_printed_concrete_signatures().splitlines() == [
        "lambda(x: f32[2]) -> f32[2]",
        "lambda(x: i32) -> i32",
    ]


def test_tensors_from_outside_that_are_returned_as_they_are() -> None:
    small, large, v = pb.constant(3), pb.ones([100]), pb.Variable([1.0, 2.0])
    f = pb.function(lambda: (small, v * 2.0, large, v))
    for _ in range(3):
        a, b, c, d = f()
        assert (int(a), b.numpy().tolist(), float(pb.reduce_sum(c)), d.numpy().tolist()) == (3, [2, 4], 100, [1, 2])
    assert f.get_concrete_function().captured_inputs
