"""What the documents say is so: sessions run and print what they show, links lead somewhere, the commands are there."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Checker(doctest.OutputChecker):
    """Lets a session show the file name that an interactive session would: `<stdin>`."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, re.sub(r"<doctest [^>]*>", "<stdin>", got), optionflags)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sessions(text: str) -> list[str]:
    """The fenced blocks that show an interactive session."""
    return [body for _, body in FENCE.findall(text) if body.lstrip().startswith(">>>")]


WITH_SESSIONS = [path for path in DOCUMENTS if sessions(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", WITH_SESSIONS, ids=name_of)
def test_sessions_print_what_they_show(path: Path) -> None:
    """All sessions of one document share a namespace, as a reader's own session would."""
    text = "\n".join(sessions(path.read_text(encoding="utf-8")))
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, path.name, str(path), 0)
    assert test.examples
    lines: list[str] = []
    failed, tried = doctest.DocTestRunner(Checker(), verbose=False, optionflags=FLAGS).run(test, out=lines.append)
    assert tried
    assert not failed, "".join(lines)


def test_commands_print_what_the_readme_shows() -> None:
    """The blocks called `console`: lines after `$ pullback ...` are what the command prints in the root."""
    fenced = FENCE.findall((ROOT / "README.md").read_text("utf-8"))
    blocks = [body for language, body in fenced if language == "console"]
    assert blocks
    for body in blocks:
        command, _, shown = body.partition("\n")
        assert command.startswith("$ pullback ")
        argv = [sys.executable, "-P", "-m", "pullback", *shlex.split(command)[2:]]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, shown), done.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_to_files(path: Path) -> None:
    targets = [target for target in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in target]
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing


def test_the_two_commands() -> None:
    """Each is one line that does all its own set-up; .ci/run runs them word for word."""
    blocks = [body for language, body in FENCE.findall((ROOT / "README.md").read_text("utf-8")) if language == "sh"]
    commands = [line for body in blocks for line in body.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for command, end in zip(commands, ("examples/digits.py", "pytest"), strict=True):
        assert command.endswith(end)
        (extra,) = re.findall(r"'\.\[(\w+)\]'", command)
        assert extra in extras
    assert (ROOT / "examples" / "digits.py").is_file()


def test_the_changelog_has_an_unreleased_section() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## Unreleased\n+.*\w", text, re.MULTILINE)
