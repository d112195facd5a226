"""`python installed_size.py FRAMEWORK`: bytes on disk of a framework and all that it needs, as its wheels list them."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path

DISTRIBUTIONS = {"tf": "tensorflow-cpu"}


def files_of(distribution: importlib.metadata.Distribution) -> int:
    """Without what Python compiled afterwards."""
    total = 0
    for file in distribution.files or []:
        path = Path(str(distribution.locate_file(file)))
        if path.suffix != ".pyc" and path.is_file():
            total += path.stat().st_size
    return total


def pullback_itself() -> int:
    """The packed folders: a checkout that is installed editable lists nothing."""
    import pullback

    root = Path(str(pullback.__file__)).parent
    folders = [root / part for part in ("ir", "codegen", "runtime", "tracer", "keras")]
    files = [*root.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    return sum(path.stat().st_size for path in files)


def closure(name: str, seen: dict[str, int]) -> None:
    """Adds the distribution and all that it requires without extras."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    seen[key] = 0
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return                                      # for another system
    seen[key] = files_of(distribution)
    for requirement in distribution.requires or []:
        wanted, _, marker = requirement.partition(";")
        match = re.match(r"[A-Za-z0-9_.-]+", wanted)
        if match and "extra" not in marker:
            closure(match[0], seen)


def main() -> None:
    framework, sizes = sys.argv[1], dict[str, int]()
    if framework == "pullback":
        sizes["pullback"] = pullback_itself()
        for needed in ("numpy", "llvmlite"):
            closure(needed, sizes)
    else:
        closure(DISTRIBUTIONS.get(framework, framework), sizes)
    print(json.dumps({"bytes": sum(sizes.values()), "parts": sizes}))


if __name__ == "__main__":
    main()
