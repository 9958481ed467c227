"""Results as a notebook shows them: HTML with a bar, no plotting library. Imports nothing of ours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape

WIDTH, HEIGHT = 360, 26


def bar(low: float, value: float, high: float, marks: Mapping[str, float]) -> str:
    """An SVG of the interval [low, high] with `value` as a dot, and named marks; 0 is on the axis too."""
    finite = {name: at for name, at in marks.items() if math.isfinite(at)}
    points = [0.0, low, value, high, *finite.values()]
    start, end = min(points), max(points)
    scale = (WIDTH - 20) / ((end - start) or 1.0)

    def x(at: float) -> str:
        return f"{10 + (at - start) * scale:.1f}"

    middle = HEIGHT // 2
    parts = [
        f'<line x1="{x(start)}" y1="{middle}" x2="{x(end)}" y2="{middle}" stroke="#ccc"/>',
        f'<line x1="{x(low)}" y1="{middle}" x2="{x(high)}" y2="{middle}" stroke="#36c" stroke-width="6"/>',
        f'<circle cx="{x(value)}" cy="{middle}" r="5" fill="#124"/>',
    ]
    for name, at in {"0": 0.0, **finite}.items():
        parts.append(
            f'<line x1="{x(at)}" y1="3" x2="{x(at)}" y2="{HEIGHT - 3}" stroke="#888" stroke-dasharray="3">'
            f"<title>{escape(name)}: {at:.3f}</title></line>"
        )
    return f'<svg width="{WIDTH}" height="{HEIGHT}" role="img">{"".join(parts)}</svg>'


def table(rows: Iterable[tuple[str, str]], caption: str) -> str:
    """Two columns; the second may hold markup, the first and the caption are escaped."""
    body = "".join(f"<tr><th style='text-align:left'>{escape(name)}</th><td>{cell}</td></tr>" for name, cell in rows)
    return f"<table><caption style='text-align:left'>{escape(caption)}</caption>{body}</table>"


class Scores(dict[str, float | str]):
    """The flat dict of `quality`: floats, and `summary` in words. A notebook shows it as a table with bars."""

    def _repr_html_(self) -> str:
        """Every figure; those with an interval as a bar."""
        rows = []
        for name, value in self.items():
            low, high = self.get(f"{name}_low"), self.get(f"{name}_high")
            if name == "summary" or name.endswith(("_low", "_high", "_null_95")) or not isinstance(value, float):
                continue
            cell = f"{value:.4f}"
            if isinstance(low, float) and isinstance(high, float):
                null = self.get(f"{name}_null_95", math.nan)
                cell += f" {bar(low, value, high, {'null, 95 %': null if isinstance(null, float) else math.nan})}"
            rows.append((name, cell))
        return table(rows, str(self.get("summary", "")))
