"""Why a function was traced."""

from __future__ import annotations

from typing import Any

import pullback as pb


def test_first_trace_and_each_retrace_with_line_and_reason() -> None:
    @pb.function
    def f(x: Any, training: bool = False, options: Any = None) -> Any:
        return x

    assert f.explain() == "f: not traced yet"
    first = f.python_function.__code__.co_firstlineno
    f(pb.ones([2]))
    f(pb.ones([3]))
    f(pb.ones([3]), True)
    f(pb.ones([3]), options={"k": [1, 2]})
    f(pb.ones([3]), options={"k": [1]})
    text = f.explain()
    assert text.startswith("f: 5 traces\n")
    lines = text.splitlines()
    for i, reason in enumerate(
        [
            "first call",
            "argument 'x' changed: f32[2] -> f32[3]; sizes that varied are symbols from here on",
            "argument 'training' changed: bool False -> bool True",
            "argument 'options['k'][0]' is new: int 1; argument 'options['k'][1]' is new: int 2; "
            "argument 'options' is gone: it was NoneType None",
            "argument 'options['k'][1]' is gone: it was int 2",
        ]
    ):
        assert f"test_explain.py:{first + 6 + i}" in lines[1 + 2 * i]
        assert lines[2 + 2 * i].strip() == reason
    assert "(x=f32[2], training=bool False, options=NoneType None)" in lines[1]


def test_closest_earlier_trace_is_compared_with() -> None:
    f = pb.function(lambda x, y: x)
    f(pb.ones([2]), 1)
    f(pb.constant(1), 5)
    f(pb.ones([2]), 2)
    assert f.explain().splitlines()[-1].strip() == "argument 'y' changed: int 1 -> int 2"


def test_objects_are_told_by_address() -> None:
    class Thing:
        pass

    a, b = Thing(), Thing()
    f = pb.function(lambda o: pb.constant(1))
    f(a)
    f(b)
    assert f"<Thing object at {id(a):#x}> -> <Thing object at {id(b):#x}>" in f.explain()
