"""The math functions by op name, each for float and double operands of any emitter."""

from __future__ import annotations

from collections.abc import Callable

from . import math_exp, math_log, math_pow, math_trig
from .emitter import Reg

MATH: dict[str, Callable[..., Reg]] = {
    "exp": math_exp.exp,
    "expm1": math_exp.expm1,
    "sinh": math_exp.sinh,
    "cosh": math_exp.cosh,
    "tanh": math_exp.tanh,
    "sigmoid": math_exp.sigmoid,
    "erf": math_exp.erf,
    "log": math_log.log,
    "log1p": math_log.log1p,
    "softplus": math_log.softplus,
    "pow": math_pow.pow,
    "sin": math_trig.sin,
    "cos": math_trig.cos,
    "tan": math_trig.tan,
}
