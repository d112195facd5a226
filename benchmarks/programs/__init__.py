"""Real programs in plain NumPy: the same text runs as it stands, under `@pb.function`, and (most of it) in numba.

Each was written here from its mathematical definition, with loops and in-place writes as a scientist would write it.
`jax_*.py` holds what JAX's users have to write instead, `c_source.py` some of them in C.
"""

from __future__ import annotations

from . import dynamics, factor, sequences, stencils
from .base import Array, Inputs, Program

PROGRAMS: dict[str, Program] = {
    p.name: p for p in (*stencils.PROGRAMS, *factor.PROGRAMS, *dynamics.PROGRAMS, *sequences.PROGRAMS)
}

__all__ = ["PROGRAMS", "Array", "Inputs", "Program"]
