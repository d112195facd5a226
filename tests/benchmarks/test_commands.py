"""`python -m benchmarks.compile_time` and `benchmarks.memory` run, in miniature; calls leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..benchmark_parts import growth

ROOT = Path(__file__).resolve().parents[2]
# Far fewer calls than a benchmark makes; enough for what grows by one object a call to show.
CALLS = {"new functions": 300, "a hundred sizes": 2000, "2 MiB results": 200}


def rows(module: str, *arguments: str) -> list[list[str]]:
    """The cells of the tables that a command prints, without their heads."""
    paths = [str(ROOT.parent), os.environ.get("PYTHONPATH", "")] if ROOT.name == "pullback" else []
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)} if paths else dict(os.environ)
    command = [sys.executable, "-m", f"benchmarks.{module}", "--tiny", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    return [[c.strip() for c in line.strip("|").split("|")] for line in lines]


def test_compile_time() -> None:
    found = rows("compile_time")[1:]
    assert [row[0] for row in found] == ["chain", "chain", "scalars", "scalars", "layers", "layers"]
    assert all(float(row[3]) > 0.0 and int(row[5]) >= 1 for row in found)


def test_memory() -> None:
    found = rows("memory", "--peers", "pullback")
    assert [row[1] for row in found if row[0].startswith(("mlp", "lstm"))] == ["pullback", "pullback, code on disk"] * 2
    assert [row[0] for row in found if row[0] in growth.KINDS] == list(growth.KINDS)


@pytest.mark.parametrize("kind", growth.KINDS)
def test_calls_leave_nothing_behind(kind: str) -> None:
    number = CALLS.get(kind, 3000)
    growth.grown(kind, number)  # what is made once is there now
    first, last = growth.grown(kind, number)
    assert first["held"] == last["held"]
    calls = number - number // 10
    for what in ("objects", "blocks"):
        assert int(last[what]) - int(first[what]) < calls / 10 + 50, what
