"""The report's figures, as inline SVG."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers too; markers differ as well.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8c8c00", "#000000")
MARKERS = "osD^vP*X"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mise_hf",
}


def _svg(draw: Callable[[], Figure]) -> str:
    with plt.rc_context(STYLE):
        figure = draw()
        out = io.StringIO()
        figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    text = out.getvalue()
    return text[text.index("<svg") :]


def recalls(scene: dict[str, Any]) -> str:
    """Pooled UAR of each method, with the standard deviation over folds and each fold as a dot."""

    def draw() -> Figure:
        methods = scene["methods"]
        names = list(methods)[::-1]
        figure, axes = plt.subplots(figsize=(6.4, 0.32 * len(names) + 0.9))
        for place, name in enumerate(names):
            entry = methods[name]
            colour = PALETTE[1] if name == scene["baseline"] else PALETTE[0]
            axes.barh(
                place, 100 * entry["uar"], xerr=100 * (entry["uar_std"] or 0), color=colour, alpha=0.8, height=0.6
            )
            axes.plot([100 * uar for uar in entry["uar_folds"]], [place] * len(entry["uar_folds"]), "k.", ms=3)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(left=max(0, 100 * min(min(entry["uar_folds"]) for entry in methods.values()) - 10))
        axes.set_xlabel("UAR, % (orange: the baseline; whiskers: standard deviation over folds; dots: folds)")
        return figure

    return _svg(draw)


def information(measures: dict[str, Any]) -> str:
    """I(c; h) with its interval and permutation null, and carried information, of real and synthetic rows."""

    def draw() -> Figure:
        names = [name for name in measures if "label_information" in measures[name]][::-1]
        figure, axes = plt.subplots(figsize=(6.4, 0.55 * len(names) + 1.1))
        for place, name in enumerate(names):
            found = measures[name]["label_information"]
            low, high = (abs(edge - found["value"]) for edge in found["interval"])
            first = place == len(names) - 1
            axes.barh(
                place + 0.2,
                found["value"],
                0.35,
                xerr=[[low], [high]],
                color=PALETTE[0],
                label="I(c; h), 95 % interval" if first else None,
            )
            axes.plot(
                [found["null_95"]] * 2,
                [place, place + 0.4],
                color=PALETTE[3],
                lw=2,
                label="95 % of its null" if first else None,
            )
            axes.barh(
                place - 0.2,
                measures[name]["carried_information"],
                0.35,
                color=PALETTE[2],
                label="carried to unseen real speakers" if first else None,
            )
        axes.axvline(measures[names[-1]]["label_information"]["entropy"], color="grey", ls=":", label="H(c)")
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("nats")
        axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.18), ncol=2, frameon=False)
        return figure

    return _svg(draw)


def projection(points: dict[str, Any], label_names: list[str]) -> str:
    """First two principal components of real and synthetic rows by emotion, and of real rows by speaker."""

    def draw() -> Figure:
        figure, panels = plt.subplots(1, 3, figsize=(9.6, 3.4), sharex=True, sharey=True)
        for axes, rows, codes, title in (
            (panels[0], points["real"], points["real_labels"], "real, by emotion"),
            (panels[1], points["synthetic"], points["synthetic_labels"], "synthetic, by emotion"),
        ):
            _scatter(axes, rows, np.array(codes), label_names)
            axes.set_title(title)
        speakers = sorted(set(points["real_speakers"]))
        codes = np.array([speakers.index(speaker) for speaker in points["real_speakers"]])
        _scatter(panels[2], points["real"], codes, speakers)
        panels[2].set_title("real, by speaker")
        panels[1].legend(*panels[0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, -0.1), ncol=4)
        return figure

    return _svg(draw)


def _scatter(axes: Axes, rows: list, codes: np.ndarray, names: list[str]) -> None:
    points = np.array(rows)
    for code, name in enumerate(names):
        chosen = points[codes == code]
        style: dict[str, Any] = {"color": PALETTE[code % len(PALETTE)], "marker": MARKERS[code % len(MARKERS)]}
        axes.scatter(chosen[:, 0], chosen[:, 1], s=9, alpha=0.7, label=name, linewidths=0, **style)


def curves(training: dict[str, list[dict[str, float]]]) -> str:
    """Every training metric against the step, one panel a training."""

    def draw() -> Figure:
        figure, panels = plt.subplots(1, len(training), figsize=(3.2 * len(training), 2.6), squeeze=False)
        for axes, (name, points) in zip(panels[0], training.items(), strict=True):
            metrics = dict.fromkeys(key for point in points for key in point if key != "step")
            for place, metric in enumerate(metrics):
                kept = [(point["step"], point[metric]) for point in points if metric in point]
                axes.plot(*zip(*kept, strict=True), color=PALETTE[place % len(PALETTE)], lw=1, label=metric)
            axes.set_title(name)
            axes.set_xlabel("step")
            axes.legend(frameon=False, fontsize=7)
        return figure

    return _svg(draw)
