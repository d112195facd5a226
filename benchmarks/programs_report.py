"""The table of run_programs.py, and its section of RESULTS.md."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sections import write_section

if TYPE_CHECKING:
    from run_programs import Row

COLUMNS = (("forward", "pullback"), ("forward", "jax"), ("forward", "numba"), ("forward", "c"), ("forward", "numpy"),
           ("gradient", "pullback"), ("gradient", "jax"))  # fmt: skip
TITLE = "Real programs: value and gradient"


def time_of(row: Row, what: str, peer: str) -> tuple[float, bool] | None:
    return row.times.get(peer, {}).get(what)


def ratio(a: tuple[float, bool] | None, b: tuple[float, bool] | None) -> str:
    return f"{a[0] / b[0]:.2f}" if a and b else "-"


def micro(seconds: tuple[float, bool] | None) -> str:
    """Microseconds to three digits, marked when the processor was not quiet."""
    if seconds is None:
        return "-"
    us = seconds[0] * 1e6
    return (f"{us:.0f}" if us >= 100 else f"{us:.3g}") + ("" if seconds[1] else "*")


def cells(row: Row) -> list[str]:
    forward, gradient = time_of(row, "forward", "pullback"), time_of(row, "gradient", "pullback")
    return [
        row.program.name,
        str(row.size),
        *(micro(time_of(row, what, peer)) for what, peer in COLUMNS),
        ratio(gradient, forward),
        ratio(forward, time_of(row, "forward", "jax")),
        ratio(gradient, time_of(row, "gradient", "jax")),
        ratio(forward, time_of(row, "forward", "c")),
        ratio(forward, time_of(row, "forward", "numba")),
    ]


def render(rows: Sequence[Row]) -> str:
    """Times in us; the ratios are pullback's time to the other's, so that below 1 is faster."""
    heads = ["program", "size", *(f"{'fwd' if w == 'forward' else 'grad'} {p}" for w, p in COLUMNS),
             "grad/fwd", "fwd/jax", "grad/jax", "fwd/c", "fwd/numba"]  # fmt: skip
    table = [heads, *map(cells, rows)]
    widths = [max(len(r[k]) for r in table) for k in range(len(heads))]
    lines = ["| " + " | ".join(c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(zip(r, widths, strict=True)))
             + " |" for r in table]  # fmt: skip
    lines.insert(1, "|---|" + "---:|" * (len(heads) - 1))
    return "\n".join(lines)


def firsts(rows: Sequence[Row]) -> str:
    """What the first calls took: tracing, differentiating, compiling, running once."""
    found = [(p, w) for p in ("pullback", "jax", "numba") for w in ("forward", "gradient")]
    lines = ["| program | size |" + "".join(f" {w} {p} |" for p, w in found), "|---|" + "---:|" * (len(found) + 1)]
    for row in rows:
        times = [row.first.get(p, {}).get(w) for p, w in found]
        shown = "".join(" - |" if t is None else f" {t * 1e3:.0f} |" for t in times)
        lines.append(f"| {row.program.name} | {row.size} |{shown}")
    return "\n".join(lines)


def write(rows: Sequence[Row], about: dict[str, Any], command: str, folder: Path) -> None:
    """Writes the section into RESULTS.md."""
    titles = "\n".join(f"- `{p.name}`: {p.title}" for p in {row.program.name: row.program for row in rows}.values())
    failures = "\n".join(f"- {f}" for row in rows for f in row.failures) or "none"
    body = f"""
## {TITLE}

Written by `{command}` on {datetime.date.today().isoformat()}. Plain NumPy programs (`programs/`), float64, the same
text for pullback and numba; JAX's form is what its users have to write, C is forward only. Times in microseconds,
medians; ratios are pullback's time to the other's. A gradient's time includes the value's.

- machine: {about["machine"]}, every process pinned to one core; load average at the start: {about["load"]}
- Python {about["python"]}; {"; ".join(about["versions"])}

{titles}

{render(rows)}

First calls, in milliseconds:

{firsts(rows)}

What failed: {failures}
"""
    write_section(folder / "RESULTS.md", "programs", body)
