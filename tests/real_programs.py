"""The programs of benchmarks/programs, for tests: that folder is no package of ours, so it is put on the path here."""

from __future__ import annotations

import sys
from pathlib import Path

BENCHMARKS = str(Path(__file__).resolve().parents[1] / "benchmarks")
sys.path.append(BENCHMARKS)
try:
    from programs import PROGRAMS, Inputs, Program, dynamics, factor, sequences, stencils
finally:
    sys.path.remove(BENCHMARKS)

__all__ = ["PROGRAMS", "Inputs", "Program", "dynamics", "factor", "sequences", "stencils"]
