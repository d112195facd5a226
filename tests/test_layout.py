"""The house rules a machine can read off the files: import directions, packed folders, sizes.

The checkout is the package `pullback`, so every import between its folders is relative; this test resolves those
imports on paths alone, without running anything. It also keeps pyproject's list of packages complete, because
setuptools leaves a folder that is not listed silently out of the wheel.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# What each folder may import, apart from itself. keras is user code: it sees the public face and nothing below it.
ALLOWED: dict[str, set[str]] = {
    "ir": set(),
    "codegen": {"ir"},
    "runtime": {"ir", "codegen"},
    "tracer": {"ir", "codegen", "runtime"},
    "keras": set(),
}
ROOT_FILES = {"__init__.py", "__main__.py"}

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40

# Justified exceptions: path (or path:function) -> why. An entry that is no longer needed fails the test.
LONG_FILES: dict[str, str] = {"runtime/public.py": "nothing but the public names, one a line"}
LONG_FUNCTIONS: dict[str, str] = {}


def sources(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


PACKAGE_FILES = sources(*ALLOWED)
FUNCTION_TYPES = (ast.FunctionDef, ast.AsyncFunctionDef)


def rel(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def resolve(path: Path, node: ast.ImportFrom) -> list[str]:
    """The dotted names below `pullback` that a relative import of a file in the tree reaches."""
    base = path.parent.relative_to(ROOT).parts
    if node.level - 1 > len(base):
        return ["(outside the checkout)"]
    at = [*base[: len(base) - (node.level - 1)], *(node.module.split(".") if node.module else [])]
    return [".".join(at)] if at else [alias.name for alias in node.names]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, target) of each import of our own modules: `ir.graph`, or a public name of the root face."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            for target in resolve(path, node):
                yield node.lineno, target
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pullback":
            yield node.lineno, "absolute " + node.module
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "pullback":
                    yield node.lineno, "absolute " + alias.name


def violations(path: Path) -> list[str]:
    """Imports of one file of the tree that go against the direction, as `file:line: what`."""
    found = []
    folder = path.relative_to(ROOT).parts[0]
    for line, target in imports(path):
        head = target.split(".")[0]
        if target.startswith(("absolute ", "(")):
            found.append(f"{rel(path)}:{line}: {target}; inside the tree imports are relative")
        elif folder == "keras":
            if (head in ALLOWED and head != "keras") or head.startswith("_"):
                found.append(f"{rel(path)}:{line}: keras may import public names of the root only, not {target}")
        elif head != folder and head not in ALLOWED[folder]:
            found.append(f"{rel(path)}:{line}: {folder} may not import {target}")
    return found


def test_imports_run_one_way() -> None:
    found = [v for path in PACKAGE_FILES for v in violations(path)]
    assert not found, "\n".join(found)


def test_a_wrong_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checker itself: each kind of forbidden import, planted, is reported."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    planted = {
        "ir/a.py": "from ..tracer.trace import Trace",
        "ir/b.py": "import pullback.ir.graph",
        "ir/sub/c.py": "from ...runtime import tensor",
        "codegen/d.py": "from .. import Tensor",
        "runtime/e.py": "def f():\n    from ..keras import layers",
        "keras/f.py": "from ..runtime.tensor import Tensor",
        "keras/g.py": "from .. import _private",
        "ir/h.py": "from ... import x",
    }
    fine = {
        "tracer/i.py": "from ..ir.graph import Function\nfrom .trace import Trace\nfrom . import rewrite",
        "keras/j.py": "from .. import Tensor, nn\nfrom . import layers\nimport numpy",
    }
    for name, text in (planted | fine).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert all(violations(tmp_path / name) for name in planted)
    assert not any(violations(tmp_path / name) for name in fine)


def test_only_the_root_face_imports_keras() -> None:
    """Also not by name at run time: nothing below names `pullback.keras`."""
    found = [
        f"{rel(path)}:{node.lineno}"
        for path in sources(*(set(ALLOWED) - {"keras"}))
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant) and node.value == "pullback.keras"
    ]
    assert not found


def test_keras_uses_public_names_that_exist() -> None:
    import pullback

    public = set(getattr(pullback, "__all__", dir(pullback)))
    used = {
        (rel(path), alias.name)
        for path in sources("keras")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and node.level and not node.module
        and len(path.relative_to(ROOT).parts) == node.level
        for alias in node.names
    }
    missing = sorted(f"{path}: {name}" for path, name in used if name not in public)
    assert not missing, "not in the public face:\n" + "\n".join(missing)


def test_packages_are_complete() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in PACKAGE_FILES}
    assert set(config["packages"]) == {"pullback"} | {f"pullback.{folder}" for folder in folders}
    assert config["package-dir"] == {"pullback": "."}
    without_init = [folder for folder in folders if not (ROOT / folder.replace(".", "/") / "__init__.py").is_file()]
    assert not without_init
    assert "py.typed" in config["package-data"]["pullback"]
    assert (ROOT / "py.typed").is_file()


def test_nothing_else_at_the_root() -> None:
    """A module at the root would be packed into every user's `pullback`; a package folder there would be left out."""
    assert {p.name for p in ROOT.glob("*.py")} <= ROOT_FILES
    assert {p.parent.name for p in ROOT.glob("*/__init__.py")} == set(ALLOWED)


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body. Text in it, docstrings and templates of LLVM code, counts as one line each: a formula that is
    explained, or a loop written out as LLVM text, is no reason to split."""
    assert node.end_lineno is not None
    lines = node.end_lineno - node.body[0].lineno + 1
    inside: list[ast.AST] = list(node.body)
    while inside:
        part = inside.pop()
        if isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str)):
            assert part.end_lineno is not None
            lines -= part.end_lineno - part.lineno
        else:
            inside.extend(ast.iter_child_nodes(part))
    return lines


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTION_TYPES))


SIZED_FILES = [ROOT / "__init__.py", *sources(*ALLOWED, "examples", "benchmarks")]
if (ROOT / "__main__.py").is_file():
    SIZED_FILES.append(ROOT / "__main__.py")


def test_files_are_short() -> None:
    long = {rel(path): n for path in SIZED_FILES if (n := len(path.read_text("utf-8").splitlines())) > MAX_FILE_LINES}
    assert set(long) == set(LONG_FILES), f"longer than {MAX_FILE_LINES} lines: {long}; excused: {LONG_FILES}"


def test_functions_are_short() -> None:
    long = {
        f"{rel(path)}:{node.name}": n
        for path in SIZED_FILES
        for node in functions(parse(path))
        if (n := function_lines(node)) > MAX_FUNCTION_LINES
    }
    assert set(long) == set(LONG_FUNCTIONS), f"over {MAX_FUNCTION_LINES} lines: {long}; excused: {LONG_FUNCTIONS}"


def test_modules_say_what_they_are_for() -> None:
    silent = [rel(path) for path in SIZED_FILES if path.stat().st_size and not ast.get_docstring(parse(path))]
    assert not silent
