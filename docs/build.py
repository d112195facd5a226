"""Writes the generated pages of the documentation: `python docs/build.py` (with `--check`: say what is out of date).

- `ir-reference.md` comes from the op table and the printer's grammar.
- `from-python-to-machine-code.md` comes from `journey.md.in`: a line `{{stage trace}}` becomes the dump of that stage
  of the function in `journey_example.py`, so the page cannot drift from what the compiler does.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

import pullback as pb
from pullback.ir import ops as _ops  # noqa: F401  fills the op table
from pullback.ir import printer
from pullback.ir.elementwise import Elementwise
from pullback.ir.opdef import OpDef, table

HERE = Path(__file__).resolve().parent
GENERATED = "<!-- made by docs/build.py: change that or its sources, not this page -->\n"
GROUPS = {
    "elementwise": "Elementwise",
    "reduce": "Reductions",
    "scan": "Scans",
    "shape_ops": "Shapes",
    "index_ops scatter": "Indexing",
    "order": "Order",
    "ragged_ops": "Sizes that only the run knows",
    "linalg decompositions solves": "Linear algebra",
    "nn_ops": "Neural networks",
    "create_ops": "Creation and random numbers",
    "control": "Control flow and effects",
    "stack_ops": "Stacks (what a loop leaves for its reverse)",
}


def _derivative(op: OpDef) -> str:
    if op.terminator or op.effect:
        return ""
    if not op.differentiable:
        return "none"
    if isinstance(op, Elementwise):
        return "from the row's partials"
    return "jvp and vjp"


def _lowering(op: OpDef) -> str:
    if op.lowering:
        return f"`{op.lowering}`"
    return "" if op.terminator or op.effect or op.name in ("for", "while", "if", "call") else "expands"


def _rows(group: str) -> list[str]:
    rows = []
    for op in table():
        if type(op).__module__.rsplit(".", 1)[-1].removesuffix("_math") not in group.split():
            continue
        attrs = ", ".join(f"`{a}`" for a in op.attrs)
        summary = op.summary.rstrip(".").replace("|", "\\|")
        rows.append(f"| `{op.name}` | {summary} | {attrs} | {_derivative(op)} | {_lowering(op)} |")
    return rows


def reference() -> str:
    """The page on the IR: text form and every op."""
    grammar = (printer.__doc__ or "").split("\n\n")[1]
    out = [
        GENERATED,
        "# The IR",
        "",
        "A function is a block of operations in SSA form: each value is defined once, by a parameter or by an op, and",
        "has one type, `dtype[shape]`, whose dimensions are integers or symbols (`f32[n, 3]`). Loops and branches are",
        "ops that own regions; what changes from trip to trip is carried by block parameters and `yield`. Arrays are",
        "values: `update` gives a new one, and the code generator writes in place when the old one is dead.",
        "`pullback opt FILE.ir -p canon,cse,dce` reads and writes this text.",
        "",
        "## Grammar",
        "",
        "```ebnf",
        re.sub(r"^ {4}", "", grammar, flags=re.M).strip("\n"),
        "```",
        "",
        "## Operations",
        "",
        "`lowering` names the machine form that the code generator looks up; an op that *expands* is made of simpler",
        "ops before code is generated. The derivative rules are written once and run forward, in reverse, and on",
        "themselves.",
        "",
    ]
    for group, title in GROUPS.items():
        out += [f"### {title}", "", "| op | meaning | attributes | derivative | lowering |", "|---|---|---|---|---|"]
        out += [*_rows(group), ""]
    return "\n".join(out)


def stage(name: str) -> str:
    """One dump of the example, cut to a readable length where the machine's own text is long."""
    sys.path.insert(0, str(HERE))
    try:
        from journey_example import loss
    finally:
        sys.path.remove(str(HERE))
    x = pb.constant(np.linspace(-1, 1, 1000, dtype=np.float32))
    text = loss.inspect(x, pb.constant(2.0), stage=name, grad="x" if name == "grad" else None, color=False)
    text = text.replace(str(HERE.parent) + "/", "")  # as the command prints it in the root
    lines = text.rstrip("\n").split("\n")
    if name == "asm":  # instructions and labels; the tables of constants say nothing to a reader
        lines = [x for x in lines if not x.startswith("\t.") and not x.startswith(".LCPI")]
    limit = {"llvm": 48, "asm": 40}.get(name, len(lines))
    if len(lines) > limit:
        lines = [*lines[:limit], f"... {len(lines) - limit} more lines"]
    return "\n".join(lines)


def journey() -> str:
    """The page that follows one function through every stage."""
    text = (HERE / "journey.md.in").read_text()
    text = re.sub(r"\{\{source\}\}", lambda _: (HERE / "journey_example.py").read_text().rstrip("\n"), text)
    return GENERATED + re.sub(r"\{\{stage (\w+)\}\}", lambda m: stage(m[1]), text)


PAGES = {"ir-reference.md": reference, "from-python-to-machine-code.md": journey}


def machine_free(page: str) -> str:
    """A page without the blocks that depend on this machine's instruction set."""
    return re.sub(r"```(plan|llvm|asm)\n.*?```", "", page, flags=re.S)


def main() -> int:
    """Writes the pages, or with --check reports those that differ."""
    stale = []
    for name, make in PAGES.items():
        path, text = HERE / name, make()
        if "--check" in sys.argv:
            if not path.exists() or machine_free(path.read_text()) != machine_free(text):
                stale.append(name)
        else:
            path.write_text(text)
    for name in stale:
        print(f"docs/{name} is out of date: run python docs/build.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
