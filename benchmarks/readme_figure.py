"""The figure near the top of README, from the results of a demo.

    python benchmarks/readme_figure.py runs/demo --out benchmarks/results/demo.svg

Every point is `uar` of results.json, every whisker `uar_std`, every tick one of `uar_folds`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

SCENES = (("in_corpus", "0.3", "One corpus, 30 % of its clips"), ("sharing", "0.1", "Two sites, 10 % of B's clips"))
# Okabe and Ito's blue, orange and green: baseline, plain methods, ours.
BASELINE, OTHER, OURS = "#E69F00", "#787878", "#0072B2"
MOST_BYTES = 60_000


def draw_scene(axes: Axes, scene: dict[str, Any], title: str) -> None:
    """One panel: methods from top to bottom."""
    names = list(scene["methods"])[::-1]
    for place, name in enumerate(names):
        entry = scene["methods"][name]
        colour = BASELINE if name == scene["baseline"] else OURS if "MISE" in name else OTHER
        marker = "s" if name == scene["baseline"] else "D" if "MISE" in name else "o"
        axes.errorbar(100 * entry["uar"], place, xerr=100 * (entry["uar_std"] or 0), fmt=marker, color=colour, ms=6)
        folds = [100 * uar for uar in entry["uar_folds"]]
        axes.plot(folds, [place] * len(folds), "|", color=colour, alpha=0.5, ms=6)
        if name != scene["baseline"]:
            axes.annotate(f"p {entry['p_value']:.3f}", (1.02, place), xycoords=("axes fraction", "data"), va="center")
    axes.set_yticks(range(len(names)), names)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("UAR on unseen speakers, %; whiskers: deviation over folds")
    axes.grid(axis="x", alpha=0.3)


def main() -> None:
    """Draw, and refuse a file that is too big for a README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a demo")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/demo.svg"), help="SVG to write")
    args = parser.parse_args()
    results = json.loads((args.run / "results.json").read_text(encoding="utf-8"))
    style = {"svg.fonttype": "none", "svg.hashsalt": "mise_hf", "font.size": 9, "font.family": "sans-serif"}
    with plt.rc_context(style):
        counts = [len(results[key][share]["methods"]) for key, share, _ in SCENES]
        figure, panels = plt.subplots(
            len(SCENES), figsize=(7.2, 0.3 * sum(counts) + 1.8), height_ratios=counts, layout="constrained"
        )
        for axes, (key, share, title) in zip(panels, SCENES, strict=True):
            draw_scene(axes, results[key][share], title)
        for axes in panels:
            axes.spines[["top", "right"]].set_visible(False)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(args.out, metadata={"Date": None, "Creator": None})
    size = args.out.stat().st_size
    print(f"{args.out}: {size} bytes, seed {results['seed']}, {results['steps']} steps")
    if size > MOST_BYTES:
        raise SystemExit(f"{size} bytes; wanted at most {MOST_BYTES}")


if __name__ == "__main__":
    main()
