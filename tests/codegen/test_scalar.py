"""The lowering table against NumPy: arithmetic bit for bit, comparisons, logic, selection, casts, and refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from pullback.codegen.emitter import Emitter, Reg
from pullback.codegen.scalar import MEMORY, OPS, element, load_as, lower, store_as

from .elementwise_kernel import NUMPY, Kernel, loop_text
from .test_math_special import special_values

Array = np.ndarray[Any, Any]
LANES = pytest.mark.parametrize("lanes", [0, 8])
NUMBERS = pytest.mark.parametrize("dtype", ["f32", "f64", "i32", "i64"])


def run(op: str, ins: list[str], out: str, lanes: int, *x: Array, fma: bool = True) -> Array:
    """The op compiled and applied; the dtype of its operands is that of the last one."""
    return Kernel(lambda em, *r: lower(em, op, r, out, in_dtype=ins[-1]), ins, out, lanes, fma=fma)(*x)


def values(dtype: str) -> Array:
    """Corner values and random ones of a dtype."""
    rng = np.random.default_rng(5)
    t = NUMPY[dtype]
    if dtype == "bool":
        return np.array([False, True, True, False, True])
    if dtype in ("f32", "f64"):
        return np.concatenate([special_values(dtype), rng.normal(0, 100, 200).astype(t)])
    info = np.iinfo(t)
    corners = np.array([0, 1, -1, 2, -2, info.max, info.min, info.min + 1], t)
    return np.concatenate([corners, rng.integers(info.min, info.max, 100, dtype=t), rng.integers(-9, 9, 50, dtype=t)])


def pairs(dtype: str) -> tuple[Array, Array]:
    """Every pair of ``values``."""
    a, b = np.meshgrid(values(dtype), values(dtype))
    return np.ascontiguousarray(a.ravel()), np.ascontiguousarray(b.ravel())


def assert_same(y: Array, expected: Array) -> None:
    """Equal to the bit, except that any NaN equals any NaN."""
    assert y.dtype == expected.dtype
    if y.dtype.kind == "f":
        nan = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(y), nan)
        y, expected = y[~nan], expected[~nan]
    np.testing.assert_array_equal(y.view(np.uint8), expected.view(np.uint8))


BINARY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
BINARY |= {"minimum": np.minimum, "maximum": np.maximum}


@LANES
@NUMBERS
@pytest.mark.parametrize("op", sorted(BINARY))
def test_arithmetic_equals_numpy_to_the_bit(op: str, dtype: str, lanes: int) -> None:
    if op == "div" and dtype[0] == "i":
        with pytest.raises(TypeError, match="'div' has no machine form for i"):
            run(op, [dtype, dtype], dtype, lanes, *pairs(dtype))
        return
    a, b = pairs(dtype)
    with np.errstate(all="ignore"):
        assert_same(run(op, [dtype, dtype], dtype, lanes, a, b), BINARY[op](a, b))


UNARY: dict[str, Callable[[Array], Array]] = {
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "square": np.square,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "relu": lambda x: np.maximum(x, x.dtype.type(0)),
    "is_nan": np.isnan,
    "is_inf": np.isinf,
    "is_finite": np.isfinite,
    "logical_not": np.logical_not,
}


@LANES
@NUMBERS
@pytest.mark.parametrize("op", sorted(UNARY))
def test_unary_ops_equal_numpy_to_the_bit(op: str, dtype: str, lanes: int) -> None:
    if dtype[0] == "i" and (op, "i") not in OPS:
        assert op in ("sqrt", "rsqrt", "is_nan", "is_inf", "is_finite")
        return
    out = "bool" if op.startswith(("is_", "logical")) else dtype
    x = values(dtype)
    with np.errstate(all="ignore"):
        assert_same(run(op, [dtype], out, lanes, x), UNARY[op](x))


def test_a_product_and_a_sum_are_rounded_each_on_its_own() -> None:
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(3, 4096)).astype(np.float32)

    def build(em: Emitter, *r: Reg) -> Reg:
        product = lower(em, "mul", r[:2], "f32", in_dtype="f32")
        return lower(em, "add", [product, r[2]], "f32", in_dtype="f32")

    plain = Kernel(build, ["f32"] * 3, "f32", 16)(x, y, z)
    assert_same(plain, x * y + z)
    fused = (x.astype(np.float64) * y + z).astype(np.float32)
    assert (fused != plain).any()  # so a contraction would have been seen


def test_contraction_is_allowed_only_when_asked_for() -> None:
    text = {}
    for contract in (False, True):
        em = Emitter(8, contract=contract)
        lower(em, "mul", [Reg("%a", "float"), Reg("%b", "float")], "f32", in_dtype="f32")
        text[contract] = em.lines[0]
    assert "fmul <8 x float>" in text[False]
    assert "fmul contract <8 x float>" in text[True]


COMPARE = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal}
COMPARE |= {"gt": np.greater, "ge": np.greater_equal}
LOGIC = {"logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor}
BITS = {"bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor}


@LANES
@pytest.mark.parametrize("dtype", sorted(NUMPY))
@pytest.mark.parametrize("op", [*COMPARE, *LOGIC])
def test_comparison_and_logic(op: str, dtype: str, lanes: int) -> None:
    a, b = pairs(dtype)
    assert_same(run(op, [dtype, dtype], "bool", lanes, a, b), (COMPARE | LOGIC)[op](a, b))


@LANES
@pytest.mark.parametrize("dtype", ["bool", "i32", "i64"])
@pytest.mark.parametrize("op", sorted(BITS))
def test_bitwise(op: str, dtype: str, lanes: int) -> None:
    a, b = pairs(dtype)
    assert_same(run(op, [dtype, dtype], dtype, lanes, a, b), BITS[op](a, b))


@LANES
@pytest.mark.parametrize("op", ["add", "mul", "minimum", "maximum"])
def test_arithmetic_of_bools_is_logic(op: str, lanes: int) -> None:
    a, b = pairs("bool")
    assert_same(run(op, ["bool", "bool"], "bool", lanes, a, b), BINARY[op](a, b))


@LANES
@pytest.mark.parametrize("dtype", sorted(NUMPY))
def test_where(dtype: str, lanes: int) -> None:
    a, b = pairs(dtype)
    condition = np.random.default_rng(3).random(a.size) < 0.5
    assert_same(run("where", ["bool", dtype, dtype], dtype, lanes, condition, a, b), np.where(condition, a, b))


@LANES
@pytest.mark.parametrize("source", sorted(NUMPY))
@pytest.mark.parametrize("target", sorted(NUMPY))
def test_cast(source: str, target: str, lanes: int) -> None:
    x = values(source)
    t = NUMPY[target]
    if source[0] == "f":
        near = [2.0**31, 2.0**31 - 1, -(2.0**31), -(2.0**31) - 1, -(2.0**31) - 0.5, 2.0**63, -(2.0**63), 0.9, -0.9]
        x = np.concatenate([x, np.array(near, x.dtype), np.nextafter(np.array(near[:6], x.dtype), x.dtype.type(0))])
    with np.errstate(all="ignore"):
        expected = x.astype(t)
    if source[0] == "f" and target[0] == "i":  # C leaves these open; we promise what x86 does
        lowest = np.iinfo(t).min
        whole = np.trunc(x.astype(np.float64))
        fits = (whole >= float(lowest)) & (whole < -float(lowest))
        expected = np.where(fits, np.where(fits, x, 0).astype(t), lowest)
    assert_same(run("cast", [source], target, lanes, x), expected)


@LANES
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_elu(dtype: str, lanes: int) -> None:
    x = values(dtype)
    zero = x.dtype.type(0)
    with np.errstate(all="ignore"):
        expected = np.where(x > 0, x, np.expm1(np.minimum(x, zero)))
    np.testing.assert_allclose(run("elu", [dtype], dtype, lanes, x), expected, rtol=4 * np.finfo(x.dtype).eps)


def test_elu_scales_its_negative_part() -> None:
    x = np.array([-1.0, 2.0])
    y = Kernel(lambda em, v: lower(em, "elu", [v], "f64", in_dtype="f64", attrs={"alpha": 0.5}), ["f64"], "f64", 0)(x)
    np.testing.assert_allclose(y, [0.5 * np.expm1(-1), 2.0], rtol=1e-15)


def test_any_nonzero_byte_in_memory_is_true() -> None:
    x = np.array([0, 1, 2, 255], np.uint8).view(np.bool_)
    y = run("cast", ["bool"], "i32", 4, x)
    np.testing.assert_array_equal(y, [0, 1, 1, 1])
    em = Emitter(0)
    stored = store_as(em, load_as(em, Reg("%byte", "i8")))
    assert stored.ty == MEMORY["bool"]
    assert element("bool") == "i1"


def test_refusals_name_the_op_and_the_dtype() -> None:
    em = Emitter(0)
    with pytest.raises(TypeError, match="'exp' has no machine form for i32: it exists for floats"):
        lower(em, "exp", [Reg("%a", "i32")], "i32", in_dtype="i32")
    with pytest.raises(TypeError, match="no such elementwise op"):
        lower(em, "frobnicate", [Reg("%a", "i32")], "i32", in_dtype="i32")
    with pytest.raises(TypeError, match="dtype 'c64' has no machine form; compiled code takes f32, f64"):
        lower(em, "add", [], "c64", in_dtype="c64")


KIND_DTYPES = {"f": ["f32", "f64"], "i": ["i32", "i64"], "b": ["bool"]}
TARGETS = [
    ("x86_64-unknown-linux-gnu", "x86-64", "", False, 4),
    ("x86_64-unknown-linux-gnu", "haswell", "+avx2,+fma", True, 8),
    ("x86_64-pc-windows-msvc", "x86-64", "", False, 4),
    ("aarch64-unknown-linux-gnu", "generic", "", True, 4),
    ("arm64-apple-darwin", "apple-m1", "", True, 4),
]


@pytest.mark.parametrize(("triple", "cpu", "features", "fma", "lanes"), TARGETS)
def test_no_op_calls_a_library_on_any_target(triple: str, cpu: str, features: str, fma: bool, lanes: int) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip(f"this LLVM was built without the backend of {triple}")
    machine = target.create_target_machine(cpu=cpu, features=features, reloc="pic", codemodel="small")
    for op, dtype in ((op, d) for op, kind in OPS for d in KIND_DTYPES[kind]):
        for width in (0, lanes):
            text = _loop_of(op, dtype, width, fma)
            module = llvm.parse_assembly(text)
            module.triple, module.data_layout = triple, str(machine.target_data)
            calls = re.findall(r"^\s+(?:callq?|bl|b|jmp)\s+(\S+)\s*$", machine.emit_assembly(module), re.M)
            assert [c for c in calls if "pb." not in c and "BB" not in c] == [], (op, dtype, width)


def _loop_of(op: str, dtype: str, lanes: int, fma: bool) -> str:
    out = "bool" if op in COMPARE or op.startswith(("is_", "logical")) else dtype
    binary = op in BINARY | COMPARE | LOGIC | BITS or op in ("pow", "mod", "floordiv", "after")
    ins = ["bool", dtype, dtype] if op == "where" else [dtype] * (2 if binary else 1)
    return loop_text(lambda em, *r: lower(em, op, r, out, in_dtype=dtype), ins, out, lanes, fma=fma)
