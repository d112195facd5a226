"""Golden IR texts: each file of tests/golden names passes, gives a text, and what comes out.

`pytest tests/ir/test_golden.py --update-golden` writes what comes out now; read the difference before committing it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pullback.ir.passes import run_pipeline

FILES = sorted((Path(__file__).parent.parent / "golden").glob("*.ir"))
MARK = "# ---------------------------------------------------------------- result\n"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_golden(path: Path, update_golden: bool) -> None:
    given, _, expected = path.read_text(encoding="utf-8").partition(MARK)
    head = given.splitlines()[0]
    assert head.startswith("# passes: "), f"the first line of {path.name} must be '# passes: canon,...'"
    made = run_pipeline(given, head.removeprefix("# passes: "))
    if update_golden:
        path.write_text(given + MARK + made, encoding="utf-8")
    else:
        assert made == expected


def test_there_are_golden_files() -> None:
    assert len(FILES) >= 8
