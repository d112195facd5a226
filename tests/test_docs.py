"""The generated pages are what their sources say today, and every op of the table is on the reference page."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pullback.ir.opdef import table

DOCS = Path(__file__).resolve().parent.parent / "docs"


def build():
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["ir-reference.md", "from-python-to-machine-code.md"])
def test_generated_pages_are_current(name):
    b = build()
    assert b.machine_free((DOCS / name).read_text()) == b.machine_free(b.PAGES[name]()), "run: python docs/build.py"


def test_the_reference_has_every_op_once():
    lines = (DOCS / "ir-reference.md").read_text().split("\n")
    for op in table():
        assert sum(line.startswith(f"| `{op.name}` |") for line in lines) == 1, op.name
