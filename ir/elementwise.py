"""Elementwise ops: one row each, everything any stage needs to know about the op.

A row holds the NumPy meaning, the name of the scalar machine form, the dtype rule, and per operand the derivative *applied
to* `g`: `lambda b, g, y, x: g * (1.0 - y * y)`. Because an elementwise derivative is diagonal, that one function is both
modes: with a tangent it gives the operand's share of the result's tangent, with the cotangent of the result the
operand's cotangent. Un-broadcasting is done once, by the caller. None marks an operand without derivative, ZERO one whose
derivative is zero everywhere it exists (TensorFlow returns zeros, not None, for those).
"""

from __future__ import annotations
