"""Specs that make no sense are refused when they are written."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from pullback.codegen.entry_spec import HEAD, EntrySpec, ParamSpec, Places, ResultSpec, ReturnSpec, encode, native_dtype

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
    table = encode(spec, 4096, Places([], [64], [24], [], {F32: 72}, 16, []))
    words = list(struct.unpack(f"<{len(table) // 8}q", table))
    head = dict(zip(HEAD, words, strict=False))
    assert head == {"main": 4096, "nargs": 1, "params": 2, "results": 3, "frame": 128, "total": 228, "returns": 1,
                    "structure": 0, "drop_gil": 1, "slot": 16, "none_slots": 0, "same": 0, "writes": 1,
                    "at_params": 144, "at_results": 272, "at_returns": 464, "at_none_slots": 480, "at_same": 480}
    assert words[18:26] == [5, 0, 16, 72, 1, 480, 0x501, 8]
    assert words[26:34] == [2, 64, 24, 72, 1, 488, 0x101, 8]
    assert words[34:42] == [0, 0, 0, 72, 1, 496, -1, 8]
    assert words[42:50] == [1, 64, 24, 72, 1, 504, 1, 8]
    assert words[50:58] == [2, 0, 0, 72, 1, 512, -1, 8]
    assert words[58:60] == [3, 0]
    assert words[60:] == [2, 2, 2, 2, 2]
