"""pullback.keras gives what Keras 3 gave on the cases of cases.py (recorded in keras3.json by record.py)."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb

HERE = Path(__file__).resolve().parent
MODULE = runpy.run_path(str(HERE / "cases.py"))
PLAIN = runpy.run_path(str(HERE / "record.py"))["plain"]
RECORDED: dict[str, Any] = json.loads((HERE / "keras3.json").read_text())


def flat(value: Any) -> list[float]:
    return [x for v in value for x in flat(v)] if isinstance(value, list) else [value]


def structure(value: Any) -> Any:
    return [structure(v) for v in value] if isinstance(value, list) else 0


def check(got: Any, want: Any) -> None:
    assert structure(got) == structure(want)
    np.testing.assert_allclose(flat(got), flat(want), rtol=2e-5, atol=2e-6)


def test_every_case_is_recorded() -> None:
    assert set(RECORDED) - {"versions"} == set(MODULE["CASES"])


@pytest.mark.parametrize("name", sorted(MODULE["CASES"]))
def test_case(name: str) -> None:
    check(PLAIN(MODULE["CASES"][name](pb)), RECORDED[name])


@pytest.mark.parametrize("name", sorted(MODULE["OPTIMIZERS"]))
def test_optimizer_inside_a_compiled_step(name: str) -> None:
    check(PLAIN(MODULE["train"](pb, name, compiled=True)), RECORDED[f"optimizer_{name}"])
