"""The report's figures: each takes plain values of a run and returns inline SVG."""

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mise_hf.report.svg import INK, MARKERS, PALETTE, render

COLUMNS = 3


def recalls(name: str, scene: dict[str, Any]) -> str:
    """Pooled UAR of each method, with the standard deviation over folds and each fold as a tick."""
    methods = scene["methods"]
    best = max(methods, key=lambda method: methods[method]["uar"])
    label = f"UAR of {len(methods)} methods; the highest is {best} with {100 * methods[best]['uar']:.1f} %"

    def draw() -> Figure:
        names = list(methods)[::-1]
        figure, axes = plt.subplots(figsize=(6.4, 0.34 * len(names) + 0.9))
        for place, method in enumerate(names):
            entry = methods[method]
            base = method == scene.get("baseline")
            axes.errorbar(
                100 * entry["uar"],
                place,
                xerr=100 * (entry.get("uar_std") or 0),
                fmt="s" if base else "o",
                color=PALETTE[1 if base else 0],
                ms=8,
                elinewidth=2,
            )
            folds = [100 * uar for uar in entry.get("uar_folds", ())]
            if len(folds) > 1:
                axes.plot(folds, [place] * len(folds), "|", color=INK, ms=7, alpha=0.7)
        axes.set_yticks(range(len(names)), names)
        axes.grid(axis="y", color=PALETTE[7], alpha=0.3, lw=0.8)
        axes.set_xlabel("UAR, % (square: the baseline; whiskers: standard deviation over folds; ticks: folds)")
        return figure

    return render(name, label, draw)


def information(name: str, measures: dict[str, Any]) -> str:
    """I(c; h) with its interval and permutation null, and carried information where it was measured."""
    first = next(iter(measures.values()))["label_information"]

    def draw() -> Figure:
        names = list(measures)[::-1]
        figure, axes = plt.subplots(figsize=(6.4, 0.6 * len(names) + 1.1))
        for place, rows in enumerate(names):
            found = measures[rows]["label_information"]
            shown = {"label": None} if place else {}
            low, high = (abs(edge - found["value"]) for edge in found["interval"])
            axes.barh(
                place + 0.2,
                found["value"],
                0.35,
                xerr=[[low], [high]],
                color=PALETTE[0],
                ecolor=INK,
                **{"label": "I(c; h), 95 % interval", **shown},
            )
            axes.plot(
                [found["null_95"]] * 2,
                [place, place + 0.4],
                color=PALETTE[3],
                lw=3,
                **{"label": "95 % of its null", **shown},
            )
            carried = measures[rows].get("carried_information")
            if carried is not None:
                axes.barh(
                    place - 0.2,
                    carried,
                    0.35,
                    color=PALETTE[2],
                    hatch="//",
                    **{"label": "carried to unseen real speakers", **shown},
                )
        axes.axvline(first["entropy"], color=INK, ls=":", label="H(c)")
        # An interval that says nothing must not flatten the rest.
        axes.set_xlim(-0.1 * first["entropy"], 1.25 * first["entropy"])
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("nats")
        axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.2), ncol=2)
        return figure

    said = "; ".join(f"{rows} {found['label_information']['value']:.2f}" for rows, found in measures.items())
    return render(name, f"Mutual information I(c; h) in nats: {said}; H(c) {first['entropy']:.2f}", draw)


def projection(name: str, points: dict[str, Any], label_names: list[str]) -> str:
    """First two principal components: real and synthetic rows by emotion, real rows by speaker, both sets together."""
    real, made = np.array(points["real"]), np.array(points["synthetic"])
    speakers = sorted(set(points["real_speakers"]))
    codes = np.array([speakers.index(speaker) for speaker in points["real_speakers"]])

    def draw() -> Figure:
        figure, panels = plt.subplots(2, 2, figsize=(7.4, 7.6), sharex=True, sharey=True)
        _scatter(panels[0, 0], real, np.array(points["real_labels"]), label_names, "real, by emotion")
        _scatter(panels[0, 1], made, np.array(points["synthetic_labels"]), label_names, "synthetic, by emotion")
        _scatter(panels[1, 0], real, codes, speakers, "real, by speaker")
        both, kinds = np.concatenate([real, made]), np.repeat([0, 1], [len(real), len(made)])
        _scatter(panels[1, 1], both, kinds, ["real", "synthetic"], "real and synthetic")
        panels[0, 1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
        panels[1, 0].legend(loc="center right", bbox_to_anchor=(-0.15, 0.5), title="speaker")
        panels[1, 1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
        return figure

    label = (
        f"First two principal components of {len(real)} real rows of {len(speakers)} speakers and {len(made)} "
        f"synthetic rows, by emotion ({', '.join(label_names)}) and by speaker"
    )
    return render(name, label, draw)


def _scatter(axes: Axes, points: np.ndarray, codes: np.ndarray, names: list[str], title: str) -> None:
    for code, name in enumerate(names):
        chosen = points[codes == code]
        colour = PALETTE[code % len(PALETTE)]
        # Past the eighth the hues come again, with other markers.
        marker = MARKERS[(code + code // len(PALETTE)) % len(MARKERS)]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=10, alpha=0.75, label=name, linewidths=0, color=colour, marker=marker
        )
    axes.set_title(title)


def curves(name: str, training: str, points: list[dict[str, float]]) -> str:
    """Every metric of one training against the step, one panel a metric."""
    metrics = [key for key in dict.fromkeys(key for point in points for key in point) if key != "step"]
    rows = math.ceil(len(metrics) / COLUMNS)

    def draw() -> Figure:
        figure, panels = plt.subplots(rows, COLUMNS, figsize=(7.4, 1.9 * rows), squeeze=False, layout="constrained")
        for axes, metric in zip(panels.flat, metrics, strict=False):
            kept = [(point["step"], point[metric]) for point in points if point.get(metric) is not None]
            axes.plot(*zip(*kept, strict=True), color=PALETTE[0], lw=1.2)
            axes.set_title(metric.replace("_", " "), fontsize=10)
        for axes in list(panels.flat)[len(metrics) :]:
            axes.remove()
        figure.supxlabel("step", fontsize=10)
        return figure

    said = ", ".join(metric.replace("_", " ") for metric in metrics)
    return render(name, f"Training of {training}: {said} against the step", draw)
