"""Bar charts as SVG, written by hand: one group of bars per workload, on a logarithmic scale of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

LEFT, WIDTH, RIGHT, BAR, GAP, HEAD = 130, 560, 90, 15, 12, 22
COLOURS = {
    "pullback": "#d1495b", "jax": "#30638e", "tf": "#edae49", "torch": "#8d5b9a", "numba": "#00798c",
    "autograd": "#7a9e57", "numpy": "#6c757d", "c": "#333333",
}  # fmt: skip
UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))


@dataclass(frozen=True)
class Bar:
    name: str
    value: float
    label: str


def colour(name: str) -> str:
    return next((c for start, c in COLOURS.items() if name.split(" ")[0].split(".")[0] == start), "#999999")


def tick(exponent: int) -> str:
    for name, scale in UNITS:
        if 10.0**exponent >= scale * 0.999 or name == "ns":
            return f"{10.0**exponent / scale:g} {name}"
    raise AssertionError


def text(x: float, y: float, content: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(content)}</text>'


def chart(title: str, groups: list[tuple[str, list[Bar]]]) -> str:
    """The chart of named groups of bars, with a line for each power of ten."""
    values = [bar.value for _, bars in groups for bar in bars]
    low, high = math.floor(math.log10(min(values)) - 0.2), math.ceil(math.log10(max(values)))
    scale = WIDTH / max(high - low, 1)
    height = 40 + sum(HEAD + GAP + BAR * len(bars) for _, bars in groups) + 20
    total = LEFT + WIDTH + RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height}" viewBox="0 0 {total} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{total}" height="{height}" fill="white"/>',
        text(10, 20, title, weight="bold"),
    ]
    for exponent in range(low, high + 1):
        x = LEFT + (exponent - low) * scale
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="36" y2="{height - 18}" stroke="#dddddd"/>')
        parts.append(text(x, height - 5, tick(exponent), "middle"))
    y = 40.0
    for name, bars in groups:
        parts.append(text(10, y + HEAD - 8, name, weight="bold"))
        y += HEAD
        for bar in bars:
            length = (math.log10(bar.value) - low) * scale
            parts.append(text(LEFT - 5, y + BAR - 4, bar.name, "end"))
            box = f'x="{LEFT}" y="{y + 1:.1f}" width="{length:.1f}" height="{BAR - 3}"'
            parts.append(f'<rect {box} fill="{colour(bar.name)}"/>')
            parts.append(text(LEFT + length + 4, y + BAR - 4, bar.label))
            y += BAR
        y += GAP
    return "\n".join([*parts, "</svg>", ""])
