"""The modules of benchmarks/, for tests: that folder is no package of ours, so it is put on the path here."""

from __future__ import annotations

import sys
from pathlib import Path

BENCHMARKS = str(Path(__file__).resolve().parents[1] / "benchmarks")
sys.path.append(BENCHMARKS)
try:
    import answers
    import charts
    import conductor
    import growth
    import peers
    import report
    import targets
    import workloads
    from workloads import training
    from workloads.base import doubles
finally:
    sys.path.remove(BENCHMARKS)

__all__ = ["answers", "charts", "conductor", "doubles", "growth", "peers", "report", "targets", "training", "workloads"]
