"""NumPy's other functions: where, clip, rounding, parts of numbers, comparison."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ir.dtypes import as_dtype, bool_
from .arithmetic import cast
from .array import array_of, is_array
from .convert import is_tensor, make, static_value
from .errors import fail
from .numpy_promote import promoted, tensor
from .numpy_protocol import call_ufunc, implements, write_out
from .numpy_reduce import NO, all_, floats, given
from .numpy_sort import nonzero
from .numpy_ufuncs import number, op
from .ops_create import filled
from .tensor import Tensor


# ---------------------------------------------------------------- choosing
@implements(np.where)
def where(condition: Any, x: Any = NO, y: Any = NO, /) -> Any:
    """x where the condition holds, else y; alone, the positions of the true elements."""
    c = tensor(condition, bool_)
    if x is NO and y is NO:
        return nonzero(c)
    if x is NO or y is NO:
        fail(ValueError, "either both or neither of x and y should be given")
    return op("where", c, *promoted("np.where", x, y))


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Tensor:
    """The choice of the first condition that holds."""
    *choices, y = promoted("np.select", *choicelist, default)
    for c, x in reversed(list(zip(condlist, choices, strict=True))):
        y = op("where", tensor(c, bool_), x, y)
    return y


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = NO, max: Any = NO, **rest: Any) -> Tensor:
    """Values outside of [min, max] moved to its ends."""
    low = min if given(min) else a_min
    high = max if given(max) else a_max
    present = [v for v in (low, high) if given(v)]
    t, *bounds = promoted("np.clip", a, *present)
    if given(low):
        t = call_ufunc(np.maximum, t, bounds.pop(0))
    if given(high):
        t = call_ufunc(np.minimum, t, bounds.pop(0))
    return t


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    """NaN and infinities replaced by numbers."""
    t = tensor(x)
    if not t.dtype.is_floating:
        return t
    high = t.dtype.max if posinf is None else posinf
    low = t.dtype.min if neginf is None else neginf
    y = op("where", op("is_nan", t), number(nan, t), t)
    y = op("where", op("eq", y, number(np.inf, t)), number(high, t), y)
    y = op("where", op("eq", y, number(-np.inf, t)), number(low, t), y)
    return y if copy or not is_array(x) else write_out("np.nan_to_num", x, y)[...]  # type: ignore[no-any-return]


# ---------------------------------------------------------------- rounding and parts of numbers
@implements(np.round, np.around)
def round_(a: Any, decimals: Any = 0) -> Tensor:
    """Rounded to a number of decimals, halves to the even one."""
    t, places = tensor(a), static_value(decimals, "The argument `decimals`")
    if t.dtype.is_bool:
        if places:
            fail(TypeError, "np.round: bools have no decimals")
        return cast(t, as_dtype("float16"))
    if not t.dtype.is_floating:
        if places >= 0:
            return t
        scale = number(10**-places, t)
        wide = op("div", cast(t, as_dtype("float64")), cast(scale, as_dtype("float64")))
        return op("mul", cast(op("round", wide), t.dtype), scale)  # type: ignore[no-any-return]
    if places == 0:
        return op("round", t)  # type: ignore[no-any-return]
    scale = number(10.0 ** abs(places), t)
    up, down = ("mul", "div") if places > 0 else ("div", "mul")
    return op(down, op("round", op(up, t, scale)), scale)  # type: ignore[no-any-return]


@implements(np.fix)
def fix(x: Any) -> Tensor:
    """Rounded towards zero."""
    return call_ufunc(np.trunc, x)  # type: ignore[no-any-return]


@implements(np.real)
def real(val: Any) -> Tensor:
    """The real part."""
    from .ops_complex import real as part_of

    t = tensor(val)
    return part_of(t) if t.dtype.is_complex else t


@implements(np.imag)
def imag(val: Any) -> Tensor:
    """The imaginary part."""
    from .ops_complex import imag as part_of

    t = tensor(val)
    return part_of(t) if t.dtype.is_complex else filled(t.type.shape, number(0, t))


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Tensor:
    """The angle of a complex number."""
    t = floats(tensor(z))
    a = call_ufunc(np.arctan2, imag(t), real(t))
    return call_ufunc(np.rad2deg, a) if deg else a  # type: ignore[no-any-return]


@implements(np.sinc)
def sinc(x: Any) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0."""
    t = floats(tensor(x))
    y = op("mul", number(np.pi, t), op("where", op("eq", t, number(0, t)), number(1e-20, t), t))
    return op("div", op("sin", y), y)  # type: ignore[no-any-return]


@implements(np.isposinf)
def isposinf(x: Any) -> Tensor:
    """Whether it is inf."""
    t = floats(tensor(x))
    return op("eq", t, number(np.inf, t))  # type: ignore[no-any-return]


@implements(np.isneginf)
def isneginf(x: Any) -> Tensor:
    """Whether it is -inf."""
    t = floats(tensor(x))
    return op("eq", t, number(-np.inf, t))  # type: ignore[no-any-return]


# ---------------------------------------------------------------- comparison
@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |a - b| <= atol + rtol * |b|, element by element."""
    x, y = promoted("np.isclose", floats(tensor(a)), floats(tensor(b)))
    near = op("add", tensor(atol, x.dtype), op("mul", tensor(rtol, x.dtype), op("abs", y)))
    close = op("logical_and", op("le", op("abs", op("sub", x, y)), near), op("is_finite", y))
    close = op("logical_or", close, op("eq", x, y))
    if equal_nan:
        close = op("logical_or", close, op("logical_and", op("is_nan", x), op("is_nan", y)))
    return close  # type: ignore[no-any-return]


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all elements are close."""
    return all_(isclose(a, b, rtol, atol, equal_nan))  # type: ignore[no-any-return]


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Tensor:
    """Whether shapes and elements are equal."""
    x, y = promoted("np.array_equal", a1, a2)
    if x.type.shape != y.type.shape:
        return make(np.array(False))
    same = op("eq", x, y)
    if equal_nan and x.dtype.is_floating:
        same = op("logical_or", same, op("logical_and", op("is_nan", x), op("is_nan", y)))
    return all_(same)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- what an array is
@implements(np.shape)
def shape(a: Any) -> Any:
    """The sizes."""
    return tuple(tensor(a).shape) if not hasattr(a, "shape") else a.shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    """The number of dimensions."""
    return tensor(a).ndim


@implements(np.size)
def size(a: Any, axis: Any = None) -> Any:
    """The number of elements."""
    t = a if is_tensor(a) else array_of(tensor(a))
    sizes = t.shape if axis is None else [t.shape[axis]]
    return math.prod(sizes)


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex."""
    return tensor(x).dtype.is_complex


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex."""
    return not tensor(x).dtype.is_complex


