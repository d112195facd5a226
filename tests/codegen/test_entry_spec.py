"""Specs that make no sense are refused when they are written."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from pullback.codegen.entry_spec import HEAD, EntrySpec, ParamSpec, Places, ResultSpec, ReturnSpec, encode, native_dtype
from pullback.codegen.entry_structure import Nest, Opened

from .native_kernels import F32, F64, I32

ARG = ParamSpec("arg", 0, F32, (2,))
VAR = ParamSpec("var", 0, F32, (2,))
OUT = ResultSpec("out", 0, F32, (2,))
ND = ParamSpec("ndarray", 0, F32, (2,))


@pytest.mark.parametrize(("fields", "message"), [
    ({"structure": "dict"}, "structure 'dict'"),
    ({"scratch": -1}, "scratch"),
    ({"params": (ParamSpec("state", 0, F32, ()),)}, "param kind 'state'"),
    ({"params": (ParamSpec("arg", 1, F32, ()),)}, "argument 1 of 1"),
    ({"params": (ParamSpec("float", 0, I32, ()),)}, "a float passed as int32"),
    ({"results": (ResultSpec("state", 0, F32, ()),)}, "result kind 'state'"),
    ({"results": (OUT, OUT)}, "same output"),
    ({"returns": (ReturnSpec("out", 1),)}, "returns output 1"),
    ({"returns": (ReturnSpec("arg", 1),)}, "returns argument 1"),
    ({"returns": (ReturnSpec("thing", 0),)}, "return kind 'thing'"),
    ({"returns": ()}, "a single value, but 0 returns"),
    ({"same": ((1, 0),)}, "argument 1 of 1"),
    ({"results": (OUT, ResultSpec("var", 0, F32, (2,), donor=0))}, "cannot hold"),
    ({"results": (OUT, ResultSpec("var", 0, F32, (2,), donor=5))}, "donor 5"),
    ({"params": (ARG, VAR, VAR), "results": (OUT, ResultSpec("var", 0, F32, (2,), donor=1))}, "through 2 params"),
    ({"params": (ARG, VAR), "results": (OUT, *[ResultSpec("var", 0, F32, (2,), donor=1)] * 2)}, "same donor"),
    ({"params": (ARG, VAR), "results": (OUT, ResultSpec("var", 0, F32, (3,), donor=1))}, "cannot hold"),
    ({"params": (ARG, VAR), "results": (OUT, ResultSpec("var", 0, F64, (2,), donor=1))}, "cannot hold"),
    ({"params": (ParamSpec("scalar", 0, F32, (1,)),)}, r"a scalar of float32 \(1,\)"),
    ({"params": (ParamSpec("scalar", 0, np.dtype("g"), ()),)}, "a scalar of"),
    ({"params": (ParamSpec("ndarray", 1, F32, ()),)}, "argument 1 of 1"),
    ({"results": (OUT, ResultSpec("ndarray", 1, F32, (2,)))}, "param 1 of 1"),
    ({"results": (OUT, ResultSpec("ndarray", 0, F32, (2,)))}, "cannot hold"),
    ({"params": (ND,), "results": (OUT, ResultSpec("ndarray", 0, F32, (3,)))}, "cannot hold"),
    ({"params": (ND, ND), "results": (OUT, ResultSpec("ndarray", 0, F32, (2,), donor=1))}, "cannot hold"),
    ({"params": (ND,), "results": (OUT, *[ResultSpec("ndarray", 0, F32, (2,))] * 2)}, "same param"),
    ({"returns": (ReturnSpec("array", 1),)}, "returns output 1"),
    ({"params": (ParamSpec("cast", 0, F64, (2,)),)}, "an array converted to float64"),
    ({"params": (ParamSpec("number", 0, np.dtype("uint8"), ()),)}, "a number as uint8"),
    ({"params": (ParamSpec("arg", 3, F32, ()),), "keywords": ("a",), "opened": (Opened("list", 1, 0, 1),)},
     "argument 3 of 3"),
    ({"opened": (Opened("list", 1, 0, 1),)}, "opens value 1 of 1"),
    ({"opened": (Opened("set", 0, 0, 1),)}, "opens a 'set'"),
    ({"opened": (Opened("dict", 0, 0, 2, (0,)),)}, "a dict of 2 items with 1 keys"),
    ({"structure": Nest("set")}, "builds a 'set'"),
    ({"structure": Nest("list", items=(Nest("leaf", 1),))}, "leaf 1 of 1 returns"),
    ({"structure": Nest("dict", items=(Nest("leaf", 0),))}, "a dict of 1 items with 0 keys"),
    ({"structure": Nest("none", items=(Nest("leaf", 0),))}, "a none with items"),
])
def test_nonsense(fields: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"nargs": 1, "params": (ARG,), "results": (OUT,), "returns": (ReturnSpec("out", 0),)}
    EntrySpec(**good)
    with pytest.raises(ValueError, match=message):
        EntrySpec(**good | fields)


def test_native_dtype() -> None:
    assert native_dtype(np.dtype("f4")) is np.dtype("float32")
    for odd in (np.dtype(">f4"), np.dtype("O"), np.dtype([("a", "f4")]), np.dtype("S3")):
        with pytest.raises(TypeError, match="no dtype"):
            native_dtype(odd)


def test_table() -> None:
    """The words of one table, read by hand."""
    spec = EntrySpec(1, (ND, VAR), (OUT, ResultSpec("var", 0, F32, (2,), donor=1), ResultSpec("ndarray", 0, F32, (2,))),
                     (ReturnSpec("array", 0),), scratch=100, drop_gil=True)
    table = encode(spec, 4096, Places([], [64], [24], [], {F32: 72}, 16, [], {}, [88, 0, 0]))
    words = list(struct.unpack(f"<{len(table) // 8}q", table))
    head = dict(zip(HEAD, words, strict=False))
    assert head == {"main": 4096, "nargs": 1, "params": 2, "results": 3, "frame": 128, "total": 228, "returns": 1,
                    "structure": 0, "drop_gil": 1, "slot": 16, "none_slots": 0, "same": 0, "writes": 1,
                    "keywords": 0, "values": 1, "opened": 0, "at_params": 192, "at_results": 320, "at_returns": 560,
                    "at_none_slots": 576, "at_same": 576, "at_keywords": 576, "at_opened": 576, "at_nest": 576}
    assert words[24:32] == [5, 0, 16, 72, 1, 576, 0x501, 8]
    assert words[32:40] == [2, 64, 24, 72, 1, 584, 0x101, 8]
    assert words[40:50] == [0, 0, 0, 72, 1, 592, 0x505, 8, -1, 88]
    assert words[50:60] == [1, 64, 24, 72, 1, 600, 0x505, 8, 1, 0]
    assert words[60:70] == [2, 0, 0, 72, 1, 608, 0x505, 8, -1, 0]
    assert words[70:72] == [3, 0]
    assert words[72:] == [2, 2, 2, 2, 2]


def test_table_of_nests() -> None:
    """The words of a call `f([x], k={"a": y})` that returns `(u, {"a": None})`."""
    nest = Nest("tuple", items=(Nest("leaf", 0), Nest("dict", items=(Nest("none"),), keys=(2,), like=3)))
    params = ParamSpec("arg", 2, F32, ()), ParamSpec("number", 3, F64, ())
    spec = EntrySpec(1, params, (ResultSpec("out", 0, F32, ()),),
                     (ReturnSpec("out", 0),), nest, keywords=("k",),
                     opened=(Opened("list", 0, 0, 1), Opened("dict", 1, 1, 1, (2,))))
    assert (spec.given, spec.values, spec.frame) == (2, 4, 128)
    places = Places([], [], [], [100, 101, 102, 103], {F32: 72, F64: 80}, 16, [], {F64: 88}, [], [96])
    words = list(struct.unpack(f"<{len(encode(spec, 4096, places)) // 8}q", encode(spec, 4096, places)))
    head = dict(zip(HEAD, words, strict=False))
    assert [head[k] for k in ("structure", "keywords", "values", "opened")] == [1, 1, 2, 2]
    of = {k: head[f"at_{k}"] // 8 for k in ("params", "keywords", "opened", "nest")}
    assert words[of["params"] + 8:of["params"] + 16] == [7, 24, 88, 1, 0, 80, 0x101, 8]
    assert words[of["keywords"]] == 96
    first, second = (words[of["opened"] + 5 * i:of["opened"] + 5 * (i + 1)] for i in (0, 1))
    assert first[:4] == [1, 0, 100, 1]
    assert second[:4] == [2, 8, 101, 1]
    assert words[second[4] // 8] == 102
    built = [words[of["nest"] + 3 * i:of["nest"] + 3 * (i + 1)] for i in range(4)]
    assert [b[:2] for b in built] == [[2, 2], [0, 0], [4, 1], [1, 0]]
    assert words[built[2][2] // 8:built[2][2] // 8 + 2] == [103, 102]
