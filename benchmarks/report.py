"""From medians to what a person reads: a table per workload with ratios to pullback, and RESULTS.md with the goals."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sections import sections_of

Row = dict[str, tuple[float, bool]]      # variant -> (seconds per operation, measured on a quiet processor)


@dataclass
class Results:
    environment: dict[str, Any]
    command: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, title: str, unit: str, size: int, row: Row) -> None:
        if row:
            self.rows.append({"name": name, "title": title, "unit": unit, "size": size, "seconds": row})

    def seconds(self, name: str, size: int, variant: str) -> float | None:
        for row in self.rows:
            if row["name"] == name and row["size"] == size and variant in row["seconds"]:
                return float(row["seconds"][variant][0])
        return None

    def as_json(self) -> dict[str, Any]:
        return {"environment": self.environment, "command": self.command, "rows": self.rows}


def human(seconds: float) -> str:
    """Three digits and the unit that keeps them readable."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if seconds >= scale or unit == "ns":
            return f"{seconds / scale:.3g} {unit}"
    raise AssertionError


def base_of(row: Row) -> float | None:
    """pullback's own time in this row, which ratios are taken to: compiled where there is one, else eager."""
    for name in ("pullback", "pullback eager"):
        if name in row:
            return row[name][0]
    return None


def render(results: Results) -> str:
    """The numbers as a Markdown table that also reads well on a terminal."""
    lines = [f"| {'workload':<20} | {'size':>8} | {'framework':<15} | {'time':>9} | {'per':<8}| {'x pullback':>10} |"]
    lines.append("|---|---:|---|---:|---|---:|")
    noisy = False
    for row in results.rows:
        base = base_of(row["seconds"])
        for k, (variant, (seconds, clean)) in enumerate(row["seconds"].items()):
            ratio = f"{seconds / base:.3g}" if base else "-"
            name, size = (row["name"], f"{row['size']}") if k == 0 else ("", "")
            noisy = noisy or not clean
            mark = "" if clean else " *"
            time = human(seconds) + mark
            lines.append(f"| {name:<20} | {size:>8} | {variant:<15} | {time:>9} | {row['unit']:<8}| {ratio:>10} |")
    if noisy:
        lines += ["", "\\* other work ran beside it, too few samples were undisturbed: lower decile, not the median"]
    return "\n".join(lines)


def ratio_to_jax(results: Results) -> float | None:
    ours, theirs = results.seconds("digits_step", 32, "pullback"), results.seconds("digits_step", 32, "jax")
    return ours / theirs if ours and theirs else None


def time_of(name: str, size: int) -> Callable[[Results], float | None]:
    return lambda results: results.seconds(name, size, "pullback")


GOALS: list[tuple[str, float, str, Callable[[Results], float | None]]] = [
    ("compiled call of a scalar function, Tensor in and out", 0.3e-6, "s", time_of("scalar_call", 1)),
    ("value and gradient, n = 100000, per element", 1.5e-9, "s", time_of("value_and_gradient", 100_000)),
    ("digits train step, as a part of JAX's time", 0.5, "", ratio_to_jax),
    ("import, numpy included", 0.25, "s", time_of("import", 1)),
    ("first call of a small function", 30e-3, "s", time_of("warm", 1)),
]


def goals(results: Results) -> str:
    lines = ["| goal | at most | measured | met |", "|---|---:|---:|---|"]
    for title, bound, unit, value_of in GOALS:
        value = value_of(results)
        show = human if unit else "{:.3g}".format
        measured = "not measured" if value is None else show(value)
        met = "-" if value is None else "yes" if value <= bound else "no"
        lines.append(f"| {title} | {show(bound)} | {measured} | {met} |")
    return "\n".join(lines)


def write_results(results: Results, folder: Path) -> None:
    env = results.environment
    titles = "\n".join(f"- `{row['name']}`: {row['title']}" for row in {r["name"]: r for r in results.rows}.values())
    text = f"""# Results

Written by `{results.command}` on {datetime.date.today().isoformat()}; how to read them: [README.md](README.md).

- machine: {env["machine"]}, every process pinned to one core; load average at the start: {env["load"]}
- Python {env["python"]}; {"; ".join(env["versions"])}

## Goals

{goals(results)}

## All numbers

{titles}

{render(results)}
"""
    path = folder / "RESULTS.md"
    others = sections_of(path.read_text(encoding="utf-8")) if path.is_file() else ""
    path.write_text(text + ("\n" + others if others else ""), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(results.as_json(), indent=1) + "\n", encoding="utf-8")
