"""The figure of a study: UAR with its spread by method, a panel for each share of the training clips."""

from pathlib import Path
from typing import Any

import pandas as pd

# Okabe and Ito's orange and blue, and grey: baseline, ours, others.
BASELINE, OURS, OTHER = "#E69F00", "#0072B2", "#787878"
OURS_HAVE = "MISE"


def draw_study(
    tables: dict[str, pd.DataFrame], baseline: str, title: str, out: Path, name: str = "figure"
) -> list[Path]:
    """Draw the tables of a study, and write them as SVG and PNG.

    Args:
        tables: share of the training clips -> `study_table`.
        baseline: the method that the others are held against.
        title: of the figure.
        out: folder.
        name: of the files, without their endings.

    Returns:
        The files.
    """
    import matplotlib

    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "mise_hf", "font.size": 9, "font.family": "sans-serif"}
    with matplotlib.rc_context(style):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        rows = max(len(table) for table in tables.values())
        figure = Figure(figsize=(2.6 + 3.0 * len(tables), 1.3 + 0.24 * rows), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(tables), squeeze=False)[0]
        for panel, (share, table) in zip(panels, tables.items(), strict=True):
            _panel(panel, table, baseline, first=panel is panels[0])
            panel.set_title(f"{float(share):.0%} of the training clips", loc="left", fontsize=9)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        figure.supxlabel(
            "UAR on unseen speakers, %; whiskers: deviation over seeds\nbold: p < 0.05 (Holm) against the baseline",
            fontsize=8,
        )
        paths = [out / f"{name}.svg", out / f"{name}.png"]
        figure.savefig(paths[0], metadata={"Date": None, "Creator": None})
        figure.savefig(paths[1], dpi=150, metadata={"Software": None})
    return paths


def _panel(panel: Any, table: pd.DataFrame, baseline: str, first: bool) -> None:
    methods = list(table["method"])[::-1]
    by_name = table.set_index("method")
    for place, name in enumerate(methods):
        row = by_name.loc[name]
        colour = BASELINE if name == baseline else OURS if OURS_HAVE in name else OTHER
        marker = "s" if name == baseline else "D" if OURS_HAVE in name else "o"
        spread = 0.0 if pd.isna(row["uar_std"]) else 100 * row["uar_std"]
        panel.errorbar(100 * row["uar"], place, xerr=spread, fmt=marker, color=colour, ms=4.5, lw=1.2)
    panel.axvline(100 * by_name.loc[baseline, "uar"], color=BASELINE, lw=0.8, alpha=0.7)
    panel.set_yticks(range(len(methods)), methods if first else [""] * len(methods))
    if first:
        for label, name in zip(panel.get_yticklabels(), methods, strict=True):
            significant = by_name.loc[name, "p_holm"] < 0.05
            label.set_fontweight("bold" if significant else "normal")
    panel.grid(axis="x", alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
