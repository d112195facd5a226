"""Every example runs as a user would run it, and says what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name: str, folder: Path) -> str:
    """What an example prints, run in `folder`, with nothing but the installed package on its path."""
    env = {**os.environ, "MPLBACKEND": "Agg", "PYTHONWARNINGS": "error::UserWarning:pullback"}
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{name} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_every_example_has_a_test() -> None:
    tested = set(re.findall(r'run\("(\w+\.py)"', Path(__file__).read_text("utf-8")))
    assert tested == {path.name for path in EXAMPLES.glob("*.py")}


def test_digits(tmp_path: Path) -> None:
    printed = run("digits.py", tmp_path)
    found = re.search(r"held-out accuracy: ([\d.]+)%", printed)
    assert found
    assert float(found[1]) >= 97.0
    assert re.search(r"one step, compiled: \d+ us; the same step eagerly: \d+ us", printed)
    picture = tmp_path / "out" / "digits.png"
    assert str(picture) in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_parabola_ends_on_the_digits_of_separate_rounding(tmp_path: Path) -> None:
    printed = run("parabola.py", tmp_path)
    assert printed.splitlines() == [
        "eager:    y = 0 ; x = 0.999998569",
        "compiled: y = 0 ; x = 0.999998569",
    ]


def test_derivatives_agree_with_the_formulas(tmp_path: Path) -> None:
    printed = run("derivatives.py", tmp_path)
    differences = [float(d) for d in re.findall(r"largest difference from .*: +(\S+)", printed)]
    assert len(differences) == 2
    assert max(differences) < 1e-5
    assert "picture:" in printed or "no picture: pip install matplotlib" in printed


def test_a_long_loop_in_little_memory(tmp_path: Path) -> None:
    printed = run("long_loop.py", tmp_path)
    found = re.findall(r"(?:stored|8 slots|4 MB): (\S+) MB more, .* gradient (\S+)", printed)
    assert len(found) == 3
    assert len({total for _, total in found}) == 1
    memory = [float(m) for m, _ in found]
    if memory[0] == memory[0]:  # nan where the system does not tell
        assert memory[0] > 150
        assert max(memory[1:]) < 30
    assert re.search(r"checkpointed: \d+ slots, segments of \d+ trips", printed)


def test_look_inside_shows_every_stage(tmp_path: Path) -> None:
    printed = run("look_inside.py", tmp_path)
    assert printed.count("# ") >= 4
    assert re.search(r"%\w+ = tanh %\w+", printed)
    assert "define" in printed
    assert re.search(r"# The answer: -?\d", printed)


def test_newton_agrees_with_the_implicit_function(tmp_path: Path) -> None:
    printed = run("newton.py", tmp_path)
    numbers = [float(x) for x in re.findall(r": +(\S+e-\d+|0\.0)$", printed, re.MULTILINE)]
    assert len(numbers) == 3
    assert max(numbers) < 1e-12
    assert re.search(r"same as plain NumPy: +True", printed)


def test_heat_goes_back_in_time(tmp_path: Path) -> None:
    printed = run("heat.py", tmp_path)
    found = re.findall(r"misfit (\S+), largest error (\S+)", printed)
    misfits, errors = ([float(row[k]) for row in found] for k in (0, 1))
    assert len(misfits) == 5
    assert misfits == sorted(misfits, reverse=True)
    assert misfits[-1] < 1e-3 * misfits[0]
    assert errors[-1] < 0.05


def test_nbody_hits_its_target(tmp_path: Path) -> None:
    printed = run("nbody.py", tmp_path)
    first, last = (float(x) for x in re.findall(r"misses by (\S+)", printed))
    assert first > 1.0
    assert last < 0.02
    assert re.search(r"plain NumPy, value: [\d.]+ ms; compiled, value and gradient: [\d.]+ ms", printed)
