"""The float formats by element type."""

from __future__ import annotations

from .emitter import Reg
from .math_common import Format
from .math_f32 import F32
from .math_f64 import F64


def format_of(x: Reg) -> Format:
    """The format of a float or double register."""
    return F32 if x.ty == "float" else F64
