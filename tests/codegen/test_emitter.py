"""The text builder: constants, widths, sharing, cold branches."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence

import numpy as np
import pytest

from pullback.codegen.emitter import Emitter, Reg, float_bits
from pullback.codegen.jit import compile_module

from .elementwise_kernel import NUMPY, Kernel


@pytest.mark.parametrize("lanes", [0, 4])
@pytest.mark.parametrize("value", [0.1, -0.0, 1e-45, float("inf"), float("-inf"), 1e300, 3.4028234663852886e38])
def test_float_constants_are_exact(value: float, lanes: int) -> None:
    for dtype, ty in (("f32", "float"), ("f64", "double")):
        run = Kernel(lambda em, x, ty=ty: em.const(value, ty), [dtype], dtype, lanes)
        y = run(np.zeros(1, NUMPY[dtype]))
        with np.errstate(over="ignore"):
            expected = y.dtype.type(value)
        assert y[0].tobytes() == expected.tobytes()


def test_float_constants_are_spelled_as_llvm_reads_them() -> None:
    assert float_bits(1.0, "double") == "0x3FF0000000000000"
    rounded = struct.unpack("f", struct.pack("f", 0.1))[0]
    assert float_bits(0.1, "float") == float_bits(rounded, "double")


def test_integer_constants_wrap_to_their_type() -> None:
    em = Emitter(0)
    assert em.const(0xFFFFFFFF, "i32") == Reg("-1", "i32")
    assert em.const(1 << 63, "i64") == Reg(str(-(1 << 63)), "i64")
    assert em.const(5, "i1") == Reg("true", "i1")
    assert Emitter(4).const(7, "i32") == Reg("splat (i32 7)", "i32")


def test_the_same_calls_give_scalar_and_vector_code() -> None:
    lines = {}
    for lanes in (0, 16):
        em = Emitter(lanes)
        y = em.select(em.compare("olt", Reg("%x", "float"), 0.0), em.fneg(Reg("%x", "float")), Reg("%x", "float"))
        assert y.ty == "float"
        lines[lanes] = "\n".join(em.lines)
    assert "fneg float %x" in lines[0]
    assert "fneg <16 x float> %x" in lines[16]
    assert "select <16 x i1> %t0, <16 x float> %t1, <16 x float> %x" in lines[16]


def test_fma_is_fused_only_where_the_target_can() -> None:
    x = Reg("%x", "double")
    fused, split = Emitter(8), Emitter(8, fma=False)
    fused.fma(x, x, 1.0)
    split.fma(x, x, 1.0)
    assert "@llvm.fma.v8f64" in fused.module_text()
    assert split.module_text() == ""
    assert [line.split("= ")[1].split()[0] for line in split.lines] == ["fmul", "fadd"]


def test_forks_share_names_and_declarations_but_not_lines() -> None:
    em = Emitter(8)
    tail, scalar = em.fork(), em.scalar()
    names = [e.fabs(Reg("%x", "float")).text for e in (em, tail, scalar, em)]
    assert len(set(names)) == 4
    assert len(em.lines) == 3  # the scalar emitter writes into the same function
    assert len(tail.lines) == 1
    assert set(em.decls) == set(tail.decls) == {"llvm.fabs.v8f32", "llvm.fabs.f32"}


@pytest.mark.parametrize("lanes", [0, 4])
def test_splat_puts_a_scalar_in_every_lane(lanes: int) -> None:
    def build(em: Emitter, x: Reg) -> Reg:
        scalar = em.scalar()
        three = scalar.fadd(scalar.const(1.0, "double"), 2.0)
        return em.fadd(em.fadd(x, em.splat(three)), em.splat(scalar.const(0.5, "double")))

    np.testing.assert_array_equal(Kernel(build, ["f64"], "f64", lanes)(np.arange(8.0)), np.arange(8.0) + 3.5)


def negated_root(em: Emitter, args: Sequence[Reg]) -> Reg:
    return em.fneg(em.sqrt(args[0]))


@pytest.mark.parametrize("lanes", [0, 2, 8, 16])
def test_cold_code_runs_in_the_lanes_that_ask_for_it(lanes: int) -> None:
    def build(em: Emitter, x: Reg) -> Reg:
        once = em.cold(em.compare("ogt", x, 100.0), em.fadd(x, 1.0), "test.root", negated_root, x)
        return em.cold(em.compare("olt", x, 0.0), once, "test.root", negated_root, em.fneg(x))

    x = np.arange(-40.0, 160.0)
    expected = np.where(x > 100, -np.sqrt(abs(x)), np.where(x < 0, -np.sqrt(abs(x)), x + 1))
    np.testing.assert_array_equal(Kernel(build, ["f64"], "f64", lanes)(x), expected)


def test_cold_helpers_are_defined_once_in_a_module() -> None:
    em = Emitter(4)
    x = Reg("%x", "float")
    for emitter in (em, em.fork(), em.scalar()):
        emitter.cold(emitter.compare("ogt", x, 1.0), x, "test.root", negated_root, x)
    text = em.module_text()
    assert text.count("define private float @test.root(") == 1
    assert text.count("define private <4 x float> @test.root.v4(") == 1


def test_blocks_can_be_joined_by_the_labels_the_emitter_tracks() -> None:
    em = Emitter(0)
    x = Reg("%x", "i64")
    assert em.block == "entry"
    negative, join = em.new_label("negative"), em.new_label("join")
    em.raw(f"br i1 {em.compare('slt', x, 0).text}, label %{negative}, label %{join}")
    em.label(negative)
    flipped = em.sub(0, x)
    assert em.block == negative
    em.raw(f"br label %{join}")
    em.label(join)
    y = em.phi("i64", (x, "entry"), (flipped, negative))
    body = "\n".join(["define i64 @magnitude(i64 %x) {", "entry:", *em.lines, f"  ret i64 {y.text}", "}"])
    run = compile_module(body).function("magnitude", ctypes.c_int64, ctypes.c_int64)
    assert [run(v) for v in (-3, 0, 5)] == [3, 0, 5]


def test_no_fast_math_flags() -> None:
    em = Emitter(8)
    x = Reg("%x", "float")
    for operation in (em.fadd, em.fsub, em.fmul, em.fdiv):
        operation(x, x)
    assert not any(flag in " ".join(em.lines) for flag in ("fast", "contract", "reassoc", "nnan", "nsz"))
