"""What a compiled function takes and gives, and the table that the native entry reads it from.

The kernel has the ABI `i32 main(ptr ins, ptr outs, ptr scratch)`: arrays of data pointers, one for each param and each
result, and a 64-byte aligned arena of known size; it returns 0 or an error code. An `EntrySpec` says where these
pointers come from on a call and what becomes of the results. `encode` writes it as 64-bit words: one piece of machine
code (`entry_native`) serves every function, so that an entry costs no compile time of its own.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .entry_structure import (
    NEST_WORDS,
    OPENED_WORDS,
    Nest,
    Opened,
    Words,
    check_nest,
    check_opened,
    count_nest,
    flat_nest,
    nest_words,
    opened_words,
)
from .layout import CONTIGUOUS_ALIGNED, OWNED_WRITEABLE, SCALARS, WRITEABLE

STRUCTURES = ("single", "tuple", "list", "none", "packed")
STRUCTURE_WORDS = ("single", "nest", "packed")
PARAM_KINDS = ("arg", "const", "var", "float", "array", "ndarray", "scalar", "number", "cast")
RESULT_KINDS = ("out", "var", "ndarray")
RETURN_KINDS = ("out", "arg", "object", "array")
POSITIONAL = ("arg", "float", "array", "ndarray", "scalar", "number", "cast")  # params that are values of the call
NUMBERS = "fdil"  # dtypes that Python numbers are converted to; entry_arguments reads them by position
WIDE = np.dtype(np.float64)
KEPT_BYTES = 256  # results up to this size are made in the array of an earlier call that nobody has any more

# words in the table's head and in its records; entry_native reads them by these positions
HEAD = ("main", "nargs", "params", "results", "frame", "total", "returns", "structure", "drop_gil", "slot",
        "none_slots", "same", "writes", "keywords", "values", "opened", "at_params", "at_results", "at_returns",
        "at_none_slots", "at_same", "at_keywords", "at_opened", "at_nest")
PARAM_WORDS, RESULT_WORDS, RETURN_WORDS, SAME_WORDS = 8, 10, 2, 2


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One input pointer of the kernel.

    Of value `index` of the call (`entry_structure`) - kind "arg": exactly a Tensor; "array": exactly of the entry's
    array type, which is laid out like Tensor; "ndarray": exactly a numpy.ndarray, whose memory the kernel reads (and
    writes, where a result of kind "ndarray" says so); "scalar": exactly a NumPy scalar of `dtype`; "float": exactly a
    Python float, passed as a scalar of `dtype` float32 or float64; "number": a Python float or int, a numpy.float64 or
    a float64 ndarray of no dimensions, converted to a scalar of `dtype` float32 or float64, or a Python int that fits
    into int32 or int64; "cast": a float64 ndarray, converted to float32. Others - "const": ndarray `index` of the
    entry's constants; "var": the present value of Variable `index`.
    """

    kind: str
    index: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of its elements."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class ResultSpec:
    """One output pointer of the kernel.

    kind "out": a fresh array, number `index` among the outputs that can be returned; "var": the new value of Variable
    `index`; "ndarray": what the call writes to its param `index`, an ndarray. `donor` names the param whose array may
    be overwritten with the result (a "var" param of that Variable: that happens when nobody else holds the array; or
    that "ndarray" param); the kernel must be right when the two pointers are equal. Without, the elements are copied
    when the kernel has succeeded.
    """

    kind: str
    index: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    donor: int | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of its elements."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class ReturnSpec:
    """One returned value: "out" output `index` as a new Tensor (the same one each time it appears), "array" the same of
    the entry's array type, "arg" positional argument `index` as it came, "object" number `index` of the entry's
    objects."""

    kind: str
    index: int


@dataclass(frozen=True, slots=True)
class EntrySpec:
    """A compiled function seen from Python.

    `nargs` positional arguments and those named `keywords`, in this order, are a call's first values; the items of
    `opened` containers follow. structure: "single" (one return), "tuple", "list", "none" (returns None), a `Nest`, or
    "packed" (a tuple of the returns is given to a Python callable, for other structures). `same` lists (value, object)
    pairs: the value must be that very object (a `self`, True, None), or an equal one where both are exactly int, float
    (by bits), str or bytes. `scratch` is the arena's size in bytes. `drop_gil` frees other threads while the kernel
    runs: worth it above about 20 us of work. `slot` holds the array in Tensors and Variables; `none_slots` are set to
    None in new Tensors.
    """

    nargs: int
    params: tuple[ParamSpec, ...]
    results: tuple[ResultSpec, ...]
    returns: tuple[ReturnSpec, ...]
    structure: str | Nest = "single"
    same: tuple[tuple[int, int], ...] = ()
    keywords: tuple[str, ...] = ()
    opened: tuple[Opened, ...] = ()
    scratch: int = 0
    drop_gil: bool = False
    slot: str = "_data"
    none_slots: tuple[str, ...] = ()
    name: str = "main"

    def __post_init__(self) -> None:
        _validate(self)

    @property
    def given(self) -> int:
        """How many arguments a call has."""
        return self.nargs + len(self.keywords)

    @property
    def values(self) -> int:
        """How many values a call has: arguments, and what is in the containers among them."""
        return self.given + sum(x.count for x in self.opened)

    @property
    def frame(self) -> int:
        """Bytes that a call needs for its pointers: arrays, data and a scalar cell of each param; data, object and
        Tensor of each result; where containers are opened, each value; the elements of arrays that are converted."""
        return _aligned(self.pointers + sum(_aligned(p.nbytes) for p in self.params if p.kind == "cast"))

    @property
    def pointers(self) -> int:
        """Bytes of the frame without converted arrays."""
        values = self.values if self.opened else 0
        return _aligned(8 * (3 * (len(self.params) + len(self.results)) + values))

    @property
    def nest(self) -> Nest | None:
        """What is built of several returns; None for a single or packed one."""
        if isinstance(self.structure, Nest):
            return self.structure
        return None if self.structure in ("single", "packed") else flat_nest(self.structure, len(self.returns))


def native_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The one descriptor object of this type in native byte order; TypeError for types that kernels do not have."""
    plain = np.dtype(dtype.type)
    if dtype != plain or dtype.hasobject or dtype.names is not None:
        raise TypeError(f"compiled code has no dtype {dtype}")
    return plain


def _aligned(nbytes: int) -> int:
    return -(-nbytes // 64) * 64


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _validate(spec: EntrySpec) -> None:
    if isinstance(spec.structure, str):
        _check(spec.structure in STRUCTURES, f"structure {spec.structure!r} is none of {STRUCTURES}")
    else:
        check_nest(spec.structure, len(spec.returns))
    check_opened(spec.opened, spec.given)
    _check(spec.scratch >= 0, f"scratch is {spec.scratch} bytes")
    for param in spec.params:
        _check(param.kind in PARAM_KINDS, f"param kind {param.kind!r} is none of {PARAM_KINDS}")
        if param.kind in POSITIONAL:
            _check(0 <= param.index < spec.values, f"argument {param.index} of {spec.values}")
        if param.kind == "float":
            _check(param.shape == () and param.dtype.char in "fd", f"a float passed as {param.dtype} {param.shape}")
        if param.kind == "number":
            _check(param.shape == () and param.dtype.char in NUMBERS, f"a number as {param.dtype} {param.shape}")
        _check(param.kind != "cast" or param.dtype == np.float32, f"an array converted to {param.dtype}")
        if param.kind == "scalar":
            _check(param.shape == () and param.dtype.char in SCALARS, f"a scalar of {param.dtype} {param.shape}")
    for result in spec.results:
        _check(result.kind in RESULT_KINDS, f"result kind {result.kind!r} is none of {RESULT_KINDS}")
        _validate_donor(spec, result)
    outs = [r.index for r in spec.results if r.kind == "out"]
    _check(len(set(outs)) == len(outs), "two results are the same output")
    kept = [r.index for r in spec.results if r.kind == "ndarray"]
    _check(len(set(kept)) == len(kept), "two results are written to the same param")
    donors = [r.donor for r in spec.results if r.donor is not None]
    _check(len(set(donors)) == len(donors), "two results have the same donor")
    for argument, _thing in spec.same:
        _check(0 <= argument < spec.values, f"argument {argument} of {spec.values}")
    for returned in spec.returns:
        _check(returned.kind in RETURN_KINDS, f"return kind {returned.kind!r} is none of {RETURN_KINDS}")
        if returned.kind in ("out", "array"):
            _check(returned.index in outs, f"returns output {returned.index}, which no result gives")
        if returned.kind == "arg":
            _check(0 <= returned.index < spec.given, f"returns argument {returned.index} of {spec.given}")
    if spec.structure == "single":
        _check(len(spec.returns) == 1, f"a single value, but {len(spec.returns)} returns")


def _validate_donor(spec: EntrySpec, result: ResultSpec) -> None:
    if result.kind == "ndarray":
        _check(0 <= result.index < len(spec.params), f"writes to param {result.index} of {len(spec.params)}")
        target = spec.params[result.index]
        same = (target.kind, target.shape, target.dtype) == ("ndarray", result.shape, result.dtype)
        _check(same and result.donor in (None, result.index), f"{target} cannot hold {result}")
        return
    if result.donor is None:
        return
    _check(result.kind == "var" and 0 <= result.donor < len(spec.params), f"donor {result.donor} of a {result.kind}")
    given = spec.params[result.donor]
    same = (given.kind, given.index, given.shape, given.dtype) == ("var", result.index, result.shape, result.dtype)
    _check(same, f"{given} cannot hold {result}")
    uses = sum(p.kind == "var" and p.index == result.index for p in spec.params)
    _check(uses == 1, f"Variable {result.index} is written in place but read through {uses} params")


@dataclass(frozen=True, slots=True)
class Places:
    """Byte offsets into the context tuple (`consts`, `variables`, `objects`, `dtypes` by number; the types of NumPy
    scalars by dtype; the array `kept` for each result, 0 for none; the names of keywords) and of slots."""

    consts: Sequence[int]
    variables: Sequence[int]
    variable_slots: Sequence[int]
    objects: Sequence[int]
    dtypes: dict[np.dtype[Any], int]
    slot: int
    none_slots: Sequence[int]
    scalars: dict[np.dtype[Any], int] = field(default_factory=dict)
    kept: Sequence[int] = ()
    keywords: Sequence[int] = ()


def encode(spec: EntrySpec, main: int, at: Places, asks_python: bool = False) -> bytes:
    """The table: head, then params, results, returns, slots, guards, keywords, containers, the result's nest, then all
    shapes and keys; offsets in bytes.

    The word `drop_gil` is 2 for code that keeps the GIL but asks Python things meanwhile (`python_calls`).
    """
    nest = spec.nest
    counts = (PARAM_WORDS * len(spec.params), RESULT_WORDS * len(spec.results), RETURN_WORDS * len(spec.returns),
              len(at.none_slots), SAME_WORDS * len(spec.same), len(at.keywords), OPENED_WORDS * len(spec.opened),
              NEST_WORDS * count_nest(nest))
    starts = [len(HEAD), *(len(HEAD) + end for end in itertools.accumulate(counts))]
    more = Words(starts[-1])
    body: list[int] = []
    written = {r.index for r in spec.results if r.kind == "ndarray"}
    copies = spec.pointers
    for i, param in enumerate(spec.params):
        body += _param_words(param, at, more, i in written, copies)
        copies += _aligned(param.nbytes) if param.kind == "cast" else 0
    for i, result in enumerate(spec.results):
        body += _result_words(result, at, more, asks_python, at.kept[i] if at.kept else 0)
    body += _return_words(spec, at) + list(at.none_slots)
    for argument, thing in spec.same:
        body += [8 * argument, at.objects[thing]]
    body += at.keywords
    for container in spec.opened:
        body += opened_words(container, at.objects, more)
    if nest is not None:
        body += nest_words(nest, at.objects, more)
    gil = 1 if spec.drop_gil else 2 if asks_python else 0
    structure = STRUCTURE_WORDS.index("nest" if nest is not None else str(spec.structure))
    head = [main, spec.nargs, len(spec.params), len(spec.results), spec.frame, spec.frame + spec.scratch,
            len(spec.returns), structure, gil, at.slot, len(at.none_slots), len(spec.same), len(written),
            len(spec.keywords), spec.given, len(spec.opened), *(8 * start for start in starts[:-1])]
    table = head + body + more.words
    return struct.pack(f"<{len(table)}q", *table)


def _return_words(spec: EntrySpec, at: Places) -> list[int]:
    results = {r.index: k for k, r in enumerate(spec.results) if r.kind == "out"}
    words: list[int] = []
    for value in spec.returns:
        output = results.get(value.index, 0)
        place = {"out": output, "array": output, "arg": 8 * value.index}.get(value.kind)
        words += [RETURN_KINDS.index(value.kind), at.objects[value.index] if place is None else place]
    return words


def _param_words(param: ParamSpec, at: Places, more: Words, written: bool, copy: int) -> list[int]:
    index, slot, dims = 8 * param.index, at.slot, 0
    if param.kind == "const":
        index = at.consts[param.index]
    elif param.kind == "var":
        index, slot = at.variables[param.index], at.variable_slots[param.index]
    found = WIDE if param.kind == "cast" else param.dtype
    dtype = param.dtype.itemsize if param.kind == "float" else at.dtypes[native_dtype(found)]
    if param.kind == "cast":
        slot = copy
    if param.kind == "scalar":
        slot = at.scalars[native_dtype(param.dtype)]
    if param.kind == "number":  # the types and dtype of what else is a number; which one it becomes
        slot, dims, dtype = at.scalars[WIDE], at.dtypes[WIDE], NUMBERS.index(param.dtype.char)
    else:
        dims = more.add(param.shape)
    flags = CONTIGUOUS_ALIGNED | (WRITEABLE if written else 0)
    return [PARAM_KINDS.index(param.kind), index, slot, dtype, len(param.shape), dims, flags, param.nbytes]


def _result_words(result: ResultSpec, at: Places, more: Words, asks_python: bool, kept: int) -> list[int]:
    target, slot = 0, 0
    if result.kind == "var":
        target, slot = at.variables[result.index], at.variable_slots[result.index]
    elif result.kind == "ndarray":
        target = result.index
    # Python that runs meanwhile may share a Variable's array with a Tensor, whose value must not change.
    shared = asks_python and result.kind == "var"
    donor = -1 if result.donor is None or shared else result.donor
    return [RESULT_KINDS.index(result.kind), target, slot, at.dtypes[native_dtype(result.dtype)], len(result.shape),
            more.add(result.shape), CONTIGUOUS_ALIGNED | OWNED_WRITEABLE, result.nbytes, donor, kept]
