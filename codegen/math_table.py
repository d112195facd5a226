"""The math functions by op name, each for float and double operands of any emitter."""

from __future__ import annotations

from collections.abc import Callable

from .emitter import Reg

MATH: dict[str, Callable[..., Reg]] = {}
