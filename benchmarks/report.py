"""From medians to what a person reads: a table with ratios to pullback, charts, and RESULTS.md with the targets."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charts import Bar, chart
from sections import sections_of, write_section
from workloads import GROUPS, Size

Values = dict[str, tuple[float, bool]]   # variant -> (seconds per unit or MiB, measured on a quiet processor)


@dataclass
class Results:
    environment: dict[str, Any]
    command: str
    threads: int = 1
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, title: str, group: str, unit: str, size: Size, values: Values) -> None:
        if values:
            row = {"name": name, "title": title, "group": group, "unit": unit, "size": size, "values": values}
            self.rows.append(row)

    def values(self, name: str, size: Size = 1) -> dict[str, float]:
        """The numbers of one row by variant; empty if it was not measured."""
        for row in self.rows:
            if row["name"] == name and row["size"] == size:
                return {variant: float(value) for variant, (value, _) in row["values"].items()}
        return {}

    def as_json(self) -> dict[str, Any]:
        about = {"environment": self.environment, "command": self.command, "threads": self.threads}
        return {**about, "rows": self.rows}


def human(value: float, unit: str = "s") -> str:
    """Three digits and the unit that keeps them readable."""
    if unit == "MiB":
        return f"{value:.4g} MiB"
    for name, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if value >= scale or name == "ns":
            return f"{value / scale:.3g} {name}"
    raise AssertionError


def ours(values: dict[str, float]) -> float | None:
    """pullback's number, which ratios are taken to: the best compiled form, else the eager one."""
    compiled = [v for name, v in values.items() if name.startswith("pullback") and name != "pullback eager"]
    return min(compiled) if compiled else values.get("pullback eager")


def render(results: Results) -> str:
    """The numbers as a Markdown table that also reads well on a terminal."""
    lines = [f"| {'workload':<21} | {'size':>9} | {'framework':<16} | {'time':>9} | {'per':<7} | {'x pullback':>10} |"]
    lines.append("|---|---:|---|---:|---|---:|")
    noisy = False
    for row in results.rows:
        base = ours({variant: value for variant, (value, _) in row["values"].items()})
        for k, (variant, (value, clean)) in enumerate(row["values"].items()):
            ratio = f"{value / base:.3g}" if base else "-"
            name, size = (row["name"], f"{row['size']}") if k == 0 else ("", "")
            noisy = noisy or not clean
            text = human(value, row["unit"]) + ("" if clean else " *")
            unit = "" if row["unit"] == "MiB" else row["unit"]
            lines.append(f"| {name:<21} | {size:>9} | {variant:<16} | {text:>9} | {unit:<7} | {ratio:>10} |")
    if noisy:
        lines += ["", "\\* other work ran beside it, too few samples were undisturbed: lower decile, not the median"]
    return "\n".join(lines)


def write_charts(results: Results, folder: Path) -> list[str]:
    """One file per group; gives their names."""
    folder.mkdir(exist_ok=True)
    names = []
    for group, title in GROUPS.items():
        bars = [
            (f"{row['name']} [{row['size']}]" if row["size"] != 1 else row["name"], [
                Bar(variant, value, human(value, row["unit"])) for variant, (value, _) in row["values"].items()
            ])
            for row in results.rows if row["group"] == group and row["unit"] != "MiB"
        ]  # fmt: skip
        if bars:
            suffix = "" if results.threads == 1 else f"-{results.threads}-threads"
            names.append(f"{group}{suffix}.svg")
            text = chart(title + (f", {results.threads} threads" if results.threads > 1 else ""), bars)
            (folder / names[-1]).write_text(text, encoding="utf-8")
    return names


def write_results(results: Results, folder: Path) -> None:
    """RESULTS.md, its charts and results.json; a run with several threads has a section and files of its own."""
    from targets import targets_table

    env, threads = results.environment, results.threads
    pinned = "every process pinned to one core" if threads == 1 else f"{threads} threads each, not pinned"
    charts = write_charts(results, folder / "charts")
    titles = "\n".join(f"- `{row['name']}`: {row['title']}" for row in {r["name"]: r for r in results.rows}.values())
    pictures = "\n".join(f"![{name}](charts/{name})" for name in charts)
    level = "#" if threads == 1 else "##"
    heading = "# Results" if threads == 1 else f"## With {threads} threads"
    text = f"""{heading}

Written by `{results.command}` on {datetime.date.today().isoformat()}; how to read them: [README.md](README.md).

- machine: {env["machine"]}, {pinned}; load average at the start: {env["load"]}
- Python {env["python"]}; {"; ".join(env["versions"])}

{level}# Targets

{targets_table(results)}

{level}# Charts

Times on a logarithmic scale, shorter is better.

{pictures}

{level}# All numbers

{titles}

{render(results)}
"""
    path = folder / "RESULTS.md"
    if threads == 1:
        others = sections_of(path.read_text(encoding="utf-8")) if path.is_file() else ""
        path.write_text(text + ("\n" + others if others else ""), encoding="utf-8")
    else:
        write_section(path, f"threads_{threads}", text)
    name = "results.json" if threads == 1 else f"results-{threads}-threads.json"
    (folder / name).write_text(json.dumps(results.as_json(), indent=1) + "\n", encoding="utf-8")
