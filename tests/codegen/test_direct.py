"""The ctypes path, which must give what the native entry gives."""

from __future__ import annotations

import numpy as np
import pytest

from pullback.codegen.direct import DirectCall
from pullback.codegen.entry_spec import EntrySpec, ParamSpec, ResultSpec, ReturnSpec
from pullback.codegen.jit import compile_module

from .native_kernels import F32, F64, Failure, Tensor, axpy, fail, loop, size_of, square, square_spec


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (0, 4)])
def test_shapes(shape: tuple[int, ...]) -> None:
    call = DirectCall(square(size_of(shape)), square_spec(shape))
    x = np.asarray(np.random.default_rng(0).standard_normal(shape), F32)
    (y,) = call.run([x])
    assert y.dtype == F32
    np.testing.assert_array_equal(y, x * x)


def test_strided_and_misaligned_inputs_are_copied() -> None:
    call = DirectCall(square(6), square_spec((2, 3)))
    base = np.arange(24, dtype=F32).reshape(4, 6)
    for x in (base[::2, ::2], base[:3, :2].T, np.asfortranarray(base[:2, :3])):
        np.testing.assert_array_equal(call.run([x])[0], x * x)
    raw = np.zeros(25, np.uint8)
    odd = raw[1:].view(F32).reshape(2, 3)
    odd[...] = [[1, 2, 3], [4, 5, 6]]
    assert not odd.flags.aligned
    np.testing.assert_array_equal(call.run([odd])[0], [[1, 4, 9], [16, 25, 36]])


def test_scalars_that_ufuncs_made_are_inputs() -> None:
    call = DirectCall(square(1), square_spec(()))
    np.testing.assert_array_equal(call.run_flat([np.float32(3)])[0], 9)  # type: ignore[list-item]


def test_wrong_inputs_are_named() -> None:
    call = DirectCall(square(4), square_spec((4,)))
    with pytest.raises(TypeError, match="input 0 is float64"):
        call.run([np.zeros(4)])
    with pytest.raises(TypeError, match=r"\(5,\), compiled for float32 \(4,\)"):
        call.run([np.zeros(5, F32)])
    with pytest.raises(TypeError, match="input 0 is list"):
        call.run([[1, 2, 3, 4]])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="compiled for 1 inputs, found 2"):
        call.run_flat([np.zeros(4, F32)] * 2)


def test_variables_constants_and_order_of_outputs() -> None:
    variable = Tensor([1, 2, 3, 4])
    old = variable._data
    spec = EntrySpec(0, (ParamSpec("const", 0, F32, (4,)), ParamSpec("var", 0, F32, (4,))),
                     (ResultSpec("var", 0, F32, (4,), donor=1), ResultSpec("out", 0, F32, (4,))),
                     (ReturnSpec("out", 0),))
    call = DirectCall(axpy(4), spec, consts=[np.full(4, 10, F32)], variables=[variable])
    (product,) = call.run([])
    np.testing.assert_array_equal(product, [10, 20, 30, 40])
    np.testing.assert_array_equal(variable._data, [11, 12, 13, 14])
    np.testing.assert_array_equal(old, [1, 2, 3, 4])


def test_float_arguments() -> None:
    text = """
define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {
  %x = load ptr, ptr %ins
  %o = load ptr, ptr %outs
  %v = load double, ptr %x
  %w = fmul double %v, 3.0
  store double %w, ptr %o
  ret i32 0
}"""
    spec = EntrySpec(1, (ParamSpec("float", 0, F64, ()),), (ResultSpec("out", 0, F64, ()),), (ReturnSpec("out", 0),))
    assert DirectCall(compile_module(text), spec).run([np.asarray(2.5)])[0] == 7.5


def test_scratch_is_aligned_and_usable() -> None:
    text = """
define i32 @main(ptr %ins, ptr %outs, ptr %scratch) {
  %a = ptrtoint ptr %scratch to i64
  %b = and i64 %a, 63
  %last = getelementptr i8, ptr %scratch, i64 4999
  store i8 7, ptr %last
  %r = trunc i64 %b to i32
  ret i32 %r
}"""
    assert DirectCall(compile_module(text), EntrySpec(0, (), (), (), "none", scratch=5000)).run([]) == []


def test_status() -> None:
    library = compile_module("define i32 @main(ptr %i, ptr %o, ptr %s) {\n  ret i32 -3\n}")
    variable = Tensor([1.0])
    spec = EntrySpec(0, (), (ResultSpec("var", 0, F32, (1,)),), (), "none")
    with pytest.raises(Failure, match="-3"):
        DirectCall(library, spec, variables=[variable], on_error=fail).run([])
    np.testing.assert_array_equal(variable._data, [1.0])
    with pytest.raises(SystemError, match="status -3"):
        DirectCall(library, spec, variables=[variable], on_error=lambda status: None).run([])


def test_missing_kernel() -> None:
    with pytest.raises(KeyError, match="other"):
        DirectCall(compile_module(loop("", 0, "main")), square_spec((1,), name="other"))
