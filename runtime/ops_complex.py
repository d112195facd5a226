"""Complex numbers: taking them apart and putting them together.

These ops are not holomorphic, so their rules are written for TensorFlow's complex gradients directly (`wirtinger`): the
gradient of a real loss with respect to z is dL/dRe(z) + i dL/dIm(z). They run eagerly through NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.builder import RawBuilder
from ..ir.dtypes import DType, complex64, complex128, float32, float64
from ..ir.infer import broadcast
from ..ir.opdef import OpDef
from ..ir.types import TensorType
from .arithmetic import as_new
from .convert import as_tensor
from .dispatch import apply
from .elementwise import operands
from .errors import TypeMismatch, fail
from .tensor import Tensor

_PART: dict[DType, DType] = {complex64: float32, complex128: float64}
_WHOLE: dict[DType, DType] = {float32: complex64, float64: complex128}


class ComplexOp(OpDef):
    """An elementwise op with its own complex rule."""

    wirtinger = True

    def __init__(self, name: str, fn: Callable[..., Any], out: str, rule: Callable[..., Sequence[Any]]) -> None:
        self.name = name
        self.fn = fn
        self.out = out
        self.rule = rule
        self.summary = name

    def infer(self, attrs: Any, types: Sequence[TensorType], regions: Any = ()) -> tuple[TensorType, ...]:
        """The part's or the whole's dtype."""
        d = types[0].dtype
        dtype = {"part": _PART.get(d, d), "whole": _WHOLE.get(d, d), "same": d}[self.out]
        return (TensorType(dtype, broadcast(self.name, types)),)

    def eager(self, attrs: Any, *xs: Any) -> Any:
        """The NumPy function."""
        return np.asarray(self.fn(*xs))

    def vjp(self, b: Any, attrs: Any, outs: Any, xs: Any, cts: Any, needs: Any) -> Sequence[Any]:
        """The rule, on TensorFlow's complex gradients."""
        return (None,) * len(xs) if cts[0] is None else self.rule(Parts(b), cts[0], outs[0], *xs)

    def __reduce__(self) -> Any:
        return globals().__getitem__, ("_" + self.name.upper(),)


class Parts:
    """The complex ops over arrays or tensors, for the rules."""

    def __init__(self, b: Any) -> None:
        self.raw = isinstance(b, RawBuilder)
        self.b = b

    def __call__(self, op: ComplexOp, *xs: Any) -> Any:
        return op.eager({}, *xs) if self.raw else apply(op, xs, {})

    def zeros(self, x: Any) -> Any:
        """Zeros like an operand."""
        return self.b.zeros_like(x)


_CONJ: ComplexOp = ComplexOp("conj", np.conj, "same", lambda p, g, y, z: (p(_CONJ, g),))
_REAL: ComplexOp = ComplexOp("real", np.real, "part", lambda p, g, y, z: (p(_COMPLEX, g, p.zeros(g)),))
_IMAG: ComplexOp = ComplexOp("imag", np.imag, "part", lambda p, g, y, z: (p(_COMPLEX, p.zeros(g), g),))
_COMPLEX: ComplexOp = ComplexOp(
    "complex", lambda a, c: (a + 1j * c).astype(np.complex64 if a.dtype == np.float32 else np.complex128), "whole",
    lambda p, g, y, a, c: (p(_REAL, g), p(_IMAG, g)),
)  # fmt: skip


def _safe_unit(p: Parts, z: Any, y: Any) -> Any:
    """z / |z|, and 0 where z is 0."""
    one = p.b.full(tuple(p.b.shape(y)), 1, p.b.dtype(y))
    size = p.b.where(p.b.eq(y, p.zeros(y)), one, y)
    return z / p(_COMPLEX, size, p.zeros(size))


_MODULUS = ComplexOp(
    "modulus", np.abs, "part",
    lambda p, g, y, z: (p(_COMPLEX, g, p.zeros(g)) * _safe_unit(p, z, y),),
)  # fmt: skip


def _angle_rule(p: Parts, g: Any, y: Any, z: Any) -> tuple[Any]:
    re, im = p(_REAL, z), p(_IMAG, z)
    scale = g / (re * re + im * im)
    return (p(_COMPLEX, -(im * scale), re * scale),)


_ANGLE = ComplexOp("angle", np.angle, "part", _angle_rule)


def complex(real: Any, imag: Any, name: str | None = None) -> Tensor:
    """real + i imag: complex64 from float32, complex128 from float64."""
    a, c = operands("complex", real, imag)
    if a.dtype not in _WHOLE:
        fail(
            TypeMismatch,
            f"complex: the parts must be float32 or float64, not {a.dtype.name}: write pb.cast(x, pb.float32)",
        )
    return apply(_COMPLEX, (a, c), {})  # type: ignore[no-any-return]


def _part(op: ComplexOp, x: Any) -> Tensor:
    t = as_tensor(x)
    return apply(op, (t,), {}) if t.dtype.is_complex else t


@as_new
def real(input: Any, name: str | None = None) -> Tensor:
    """The real part; of a real tensor itself."""
    return _part(_REAL, input)


def imag(input: Any, name: str | None = None) -> Tensor:
    """The imaginary part; zeros for a real tensor."""
    t = as_tensor(input)
    if t.dtype.is_complex:
        return _part(_IMAG, t)
    from .ops_create import zeros_like

    return zeros_like(t)


@as_new
def conj(x: Any, name: str | None = None) -> Tensor:
    """The complex conjugate; of a real tensor itself."""
    return _part(_CONJ, x)


def angle(input: Any, name: str | None = None) -> Tensor:
    """The argument of a complex number, in (-pi, pi]; for a real one 0 or pi."""
    t = as_tensor(input)
    if t.dtype.is_complex:
        return _part(_ANGLE, t)
    from .ops_create import zeros_like
    from .ops_index import where

    return where(t < 0, np.array(np.pi, t.dtype.np), zeros_like(t))


def modulus(x: Any) -> Tensor:
    """|z| of a complex tensor."""
    return _part(_MODULUS, x)


def to_complex(x: Tensor, dtype: DType) -> Tensor:
    """A real tensor as a complex one, with a gradient that is its real part."""
    from .arithmetic import cast
    from .ops_create import zeros_like

    re = cast(x, _PART[dtype])
    return complex(re, zeros_like(re))
