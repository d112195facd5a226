"""Errors of Python that cannot be compiled as it stands: each names the user's line and says what to write instead.

The line that the error has to name is marked in the source with `# here`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback as pb

OUTER: list[Any] = []


# ------------------------------------------------------------ loops
def changes_dtype(k: Any) -> Any:
    s = pb.constant(0)
    while k > 0:
        s = pb.cast(s, pb.float32) + 0.5  # here
        k = k - 1
    return s


def changes_shape(k: Any) -> Any:
    s = pb.constant([1.0])
    for _ in pb.range(k):
        s = pb.concat([s, s], 0)  # here
    return s


def changes_structure(k: Any) -> Any:
    s: Any = (k,)
    while k > 0:  # here
        s = (*s, k)
        k = k - 1
    return s


def changes_text(k: Any) -> Any:
    name = "a"
    while k > 0:  # here
        name = name + "b"
        k = k - 1
    return name


def deletes(k: Any) -> Any:
    s = k
    while k > 0:  # here
        del s
        k = k - 1
    return k


def appends(k: Any) -> Any:
    out = []
    while k > 0:  # here
        out.append(k)
        k = k - 1
    return out


def appends_numbers(k: Any) -> Any:
    out = []
    while k > 0:  # here
        out.append(1)
        k = k - 1
    return len(out)


def fills_a_dict(k: Any) -> Any:
    d = {}
    while k > 0:  # here
        d["a"] = k
        k = k - 1
    return d


def pops(k: Any) -> Any:
    rest = [k, k]
    while k > 0:  # here
        rest.pop()
        k = k - 1
    return rest


# ------------------------------------------------------------ branches
def leaves_unset(x: Any) -> Any:
    if x > 0.0:
        y = x
    return y  # here


def deletes_in_a_branch(x: Any) -> Any:
    y = x
    if x > 0.0:
        del y
    return y  # here


def other_dtype(x: Any) -> Any:
    if x > 0.0:  # here
        y = x
    else:
        y = pb.constant(1)
    return y


def other_shape(x: Any) -> Any:
    y = pb.ones([2])
    if x > 0.0:  # here
        y = pb.ones([3])
    return y


def other_text(x: Any) -> Any:
    name = "a"
    if x > 0.0:  # here
        name = "b"
    return name


def returns_sometimes(x: Any) -> Any:  # noqa: RET503
    if x > 0.0:  # here
        return x


def appends_in_a_branch(x: Any) -> Any:
    out = []
    if x > 0.0:  # here
        out.append(x)
    return out


def adds_to_a_set(x: Any) -> Any:
    seen = set()
    if x > 0.0:  # here
        seen.add(1)
    return len(seen)


def adds_numbers_to_a_list(x: Any) -> Any:
    out = [0]
    if x > 0.0:  # here
        out.append(1)
    return len(out)


# ------------------------------------------------------------ numbers that Python needs
def list_index(k: Any) -> Any:
    names = ["a", "b"]
    return names[k]  # here


def in_a_shape(k: Any) -> Any:
    return np.zeros((2, k))  # here


def range_in_a_comprehension(k: Any) -> Any:
    return [i for i in range(k)]  # here  # noqa: C416


def asks_in_a_comprehension(x: Any) -> Any:
    return [y for y in (x, -x) if y > 0.0]  # here


def as_numpy(x: Any) -> Any:
    return x.numpy()  # here


def in_a_generator(x: Any) -> Any:
    def halves(x: Any) -> Any:
        while x > 1.0:  # here
            yield x
            x = x / 2.0

    total = x * 0.0
    for y in halves(x):
        total = total + y
    return total


def matches(k: Any) -> Any:
    match k:
        case 1:  # here
            return k
        case _:
            return k + 1


def sorts_with_a_key(x: Any) -> Any:
    return sorted([x, -x], key=lambda t: t)[0]  # here


def assigns_in_a_condition(k: Any) -> Any:
    v = weight
    while v.assign_add(1) < k:  # here
        k = k - 1
    return k


weight = pb.Variable(0)
INDEX, X = 3, 2.0
TYPES = (TypeError, pb.errors.InvalidArgumentError)

CASES: list[tuple[Callable[..., Any], Any, Any, tuple[str, ...]]] = [
    (changes_dtype, INDEX, TYPES, ("'s'", "i32", "f32", "pb.cast")),
    (changes_shape, INDEX, (ValueError, pb.errors.InvalidArgumentError), ("'s'", "f32[1]", "f32[2]", "pb.reshape")),
    (changes_structure, INDEX, TYPES, ("'s'", "structure", "pb.TensorArray")),
    (changes_text, INDEX, TYPES, ("'name'", "'a'", "'ab'", "same object")),
    (deletes, INDEX, ValueError, ("'s'", "deleted", "leave it out")),
    (appends, INDEX, TYPES, ("what is in 'out'", "pb.TensorArray")),
    (appends_numbers, INDEX, TYPES, ("what is in 'out'", "pb.TensorArray")),
    (fills_a_dict, INDEX, TYPES, ("what is in 'd'", "structure")),
    (pops, INDEX, TYPES, ("what is in 'rest'", "structure")),
    (leaves_unset, X, (ValueError, UnboundLocalError), ("'y'", "else branch", "set it there too")),
    (deletes_in_a_branch, X, (ValueError, UnboundLocalError), ("'y'", "first branch", "set it there too")),
    (other_dtype, X, TYPES, ("'y'", "f32", "i32", "pb.cast")),
    (other_shape, X, (ValueError, pb.errors.InvalidArgumentError), ("'y'", "f32[3]", "f32[2]", "pb.reshape")),
    (other_text, X, TYPES, ("'name'", "'a'", "'b'", "same object")),
    (returns_sometimes, X, ValueError, ("on one way", "give every way a `return`")),
    (appends_in_a_branch, X, TYPES, ("what is in 'out'", "in both", "pb.where")),
    (adds_to_a_set, X, TYPES, ("what is in 'seen'", "same object")),
    (adds_numbers_to_a_list, X, TYPES, ("what is in 'out'", "in both")),
    (list_index, 1, TypeError, ("'k'", "a Python integer", "pass a Python int", "run_functions_eagerly")),
    (in_a_shape, INDEX, TypeError, ("shape", "pass it as a Python number")),
    (range_in_a_comprehension, INDEX, TypeError, ("'k'", "pass a Python int")),
    (asks_in_a_comprehension, X, TypeError, ("a Python bool", "write a `for` loop", "pb.where")),
    (as_numpy, X, AttributeError, ("numpy()", "return it from the function")),
    (in_a_generator, X, TypeError, ("generator 'halves'", "`yield`", "pb.TensorArray")),
    (matches, INDEX, TypeError, ("`match`", "`if` and `elif`")),
    (sorts_with_a_key, X, TypeError, ("a Python bool", "pb.where")),
    (assigns_in_a_condition, INDEX, ValueError, ("pb.Variable", "assign in the body")),
]  # fmt: skip


def marked(fn: Callable[..., Any]) -> int:
    """The number of the line that is marked."""
    lines, first = inspect.getsourcelines(fn)
    return first + next(k for k, text in enumerate(lines) if "# here" in text)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0].__name__)
def test_errors_name_the_line_and_what_to_write(case: tuple[Callable[..., Any], Any, Any, tuple[str, ...]]) -> None:
    fn, argument, kinds, words = case
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        with pytest.raises(kind) as e:
            pb.function(fn)(pb.constant(argument))
        text = str(e.value)
        assert f"test_control_errors.py:{marked(fn)}" in text, text
        for word in words:
            assert word in text, text
    f = pb.function(lambda x: x + x)  # the process goes on as if nothing had been
    assert float(f(pb.constant(1.0))) == 2.0
    assert pb.executing_eagerly()


def test_generators_and_coroutines_are_refused_when_they_are_decorated() -> None:
    def numbers(x: Any) -> Any:
        if x > 0.0:
            yield x  # here
        yield -x

    with pytest.raises(TypeError, match=r"generator '.*numbers'.*return a list of tensors") as e:
        pb.function(numbers)
    assert f"test_control_errors.py:{marked(numbers)}" in str(e.value)

    async def later(x: Any) -> Any:  # here
        return x

    with pytest.raises(TypeError, match=r"'.*later'.*`async`.*`def`") as e:
        pb.function(later)
    assert f"test_control_errors.py:{marked(later)}" in str(e.value)

    class Model:
        @staticmethod
        def plain(x: Any) -> Any:
            return x

        def steps(self, x: Any) -> Any:
            yield x  # here

    assert float(pb.function(Model.plain)(pb.constant(2.0))) == 2.0
    with pytest.raises(TypeError, match=re.escape(f"test_control_errors.py:{marked(Model.steps)}")):
        pb.function(Model().steps)


def test_generators_of_the_standard_kind_just_run() -> None:
    @pb.function
    def f(x: Any) -> Any:
        def parts(n: int) -> Any:
            for i in range(n):
                yield x * float(i)

        return sum(parts(4)), [p for p in parts(2)]  # noqa: C416

    total, parts = f(pb.constant(2.0))
    assert (float(total), [float(p) for p in parts]) == (12.0, [0.0, 2.0])


def counted(x: Any, k: Any) -> Any:
    state = {"positive": 0, "sum": 0.0}
    names = [x, x]
    while k > 0:
        if x > 0.0:
            state["positive"] += 1
            names[0] = names[0] + 1.0
        state["sum"] = state["sum"] + x
        x, k = x - 1.0, k - 1
    return state["positive"], state["sum"], names


@pytest.mark.parametrize("x", [-1.0, 2.5, 10.0])
def test_numbers_in_containers_change_as_variables_do(x: float) -> None:
    """Contents of a function's own lists and dicts are merged and carried, also where they are Python numbers."""
    f = pb.function(counted)
    want = counted(x, 4)
    for _ in range(2):
        got = f(pb.constant(x), pb.constant(4))
        assert int(got[0]) == want[0]
        np.testing.assert_allclose(float(got[1]), want[1], rtol=1e-6)
        np.testing.assert_allclose([float(n) for n in got[2]], want[2], rtol=1e-6)


def test_a_list_that_others_see_changes_while_tracing_only() -> None:
    OUTER.clear()

    @pb.function
    def f(x: Any) -> Any:
        OUTER.append("traced")
        return x

    for _ in range(3):
        f(pb.constant(1.0))
    assert OUTER == ["traced"]
