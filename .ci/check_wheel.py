"""Compares a wheel with the tree: `python check_wheel.py TREE WHEEL`. Exit code 1 says what is missing or extra."""

import sys
import zipfile
from pathlib import Path

FOLDERS = ("ir", "codegen", "runtime", "tracer", "keras")


def main() -> int:
    tree, wheel = Path(sys.argv[1]), Path(sys.argv[2])
    files = [p for folder in FOLDERS for p in (tree / folder).rglob("*.py")]
    files += [p for name in ("__init__.py", "__main__.py", "py.typed") if (p := tree / name).is_file()]
    expected = {"pullback/" + p.relative_to(tree).as_posix() for p in files}
    with zipfile.ZipFile(wheel) as archive:
        names = {n for n in archive.namelist() if not n.endswith("/")}
    metadata = {n for n in names if n.split("/")[0].endswith(".dist-info")}
    packed = names - metadata
    for title, wrong in (("missing from", expected - packed), ("unexpected in", packed - expected)):
        if wrong:
            print(f"{title} {wheel.name}: {', '.join(sorted(wrong))}", file=sys.stderr)
    if not any(n.endswith("/LICENSE") for n in metadata):
        print(f"no LICENSE in {wheel.name}", file=sys.stderr)
        return 1
    print(f"{wheel.name}: {len(packed)} files, as in the tree")
    return int(expected != packed)


if __name__ == "__main__":
    sys.exit(main())
