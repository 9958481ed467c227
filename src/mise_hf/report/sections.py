"""The sections of the report: what a run holds, as values for the template. A section without data is left out."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mise_hf.report import figures
from mise_hf.report.run import METRICS, Run, thinned

TITLES = {"in_corpus": "In one corpus", "sharing": "Share the generator, not the speech"}
# The columns of predictions.parquet without which no confusion can be counted.
NEEDED = {"scene", "share", "method", "label", "prediction"}
FIDELITY = {
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "within_class_variance_ratio": "within-class variance, of the real",
}


@dataclass(frozen=True)
class Section:
    """One section: `kind` is the template's macro, `values` what it shows."""

    anchor: str
    title: str
    kind: str
    values: dict[str, Any]


def all_sections(run: Run) -> list[Section]:
    """Every section that the run has data for, in the order of the page."""
    results = run.results
    found = scenes(run)
    for section in (information(results), copies(results), projection(results)):
        found += [section] if section else []
    return [*found, *curves(run), made(run)]


def scenes(run: Run) -> list[Section]:
    """One section for each table of methods, wherever in the results it lies: {name: {share: {"methods": ...}}}."""
    frame = _predictions(run)
    found = []
    for name, shares in run.results.items():
        if not isinstance(shares, dict):
            continue
        for share, scene in shares.items():
            if not isinstance(scene, dict) or not scene.get("methods"):
                continue
            number = len(found) + 1
            try:
                part = f"{float(share):.0%} of the training clips"
            except ValueError:
                part = str(share)
            title = f"{TITLES.get(name, name.replace('_', ' ').capitalize())}: {part}"
            values = {
                "scene": scene,
                "figure": figures.recalls(f"scene{number}", scene),
                "confusion": _confusion(frame, name, share, scene, run.results.get("label_names")),
            }
            found.append(Section(f"scene-{number}", title, "scene", values))
    return found


def _predictions(run: Run) -> pd.DataFrame | None:
    frame = None if run.predictions is None else pd.read_parquet(run.predictions)
    return frame if frame is not None and set(frame) >= NEEDED else None


def _confusion(
    frame: pd.DataFrame | None, name: str, share: str, scene: dict[str, Any], label_names: list[str] | None
) -> dict[str, Any] | None:
    """Confusions of the baseline and of the augmentation, in per cent of each emotion's rows."""
    baseline = scene.get("baseline")
    after = next((m for m in scene["methods"] if m in ("MISE", "B + MISE of A")), None)
    after = after or max((m for m in scene["methods"] if m != baseline), key=lambda m: scene["methods"][m]["uar"])
    if frame is None or label_names is None:
        return None
    part = frame[(frame["scene"].str.replace("-", "_") == name) & (frame["share"].astype(str) == share)]
    tables = []
    for method in (baseline, after):
        rows = part[part["method"] == method]
        if rows.empty:
            return None
        counts = np.zeros((len(label_names), len(label_names)))
        np.add.at(counts, (rows["label"].to_numpy(), rows["prediction"].to_numpy()), 1)
        sums = counts.sum(1, keepdims=True)
        tables.append({"method": method, "rows": (100 * counts / np.where(sums == 0, 1, sums)).round().astype(int)})
    gains = [int(tables[1]["rows"][i, i] - tables[0]["rows"][i, i]) for i in range(len(label_names))]
    return {"labels": label_names, "tables": tables, "gains": list(zip(label_names, gains, strict=True))}


def _measures(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(rows, what was measured of them), of all cells."""
    return [entry for cell in results.get("cells", []) for entry in cell.get("measures", {}).items()]


def information(results: dict[str, Any]) -> Section | None:
    """Mutual information with intervals and nulls, and carried information."""
    found = {name: values for name, values in _measures(results) if values.get("label_information")}
    if not found:
        return None
    rows = []
    for name, values in found.items():
        for kind, title in (("label", "I(c; h)"), ("text", "I(t; h)"), ("joint", "I((c, t); h)")):
            if values.get(f"{kind}_information"):
                rows.append({"rows": name, "what": title, **values[f"{kind}_information"]})
    values = {
        "figure": figures.information("information", found),
        "rows": rows,
        "quality": results.get("quality") or {},
        "carried": {name: v["carried_information"] for name, v in found.items() if "carried_information" in v},
    }
    return Section("information", "How much emotion the features carry", "information", values)


def copies(results: dict[str, Any]) -> Section | None:
    """Memorisation and fidelity of each kind of synthetic rows, one line a cell."""
    rows = []
    for cell in results.get("cells", []):
        for name, values in cell.get("measures", {}).items():
            if any(key in values for key in (*FIDELITY, "memorisation")):
                rows.append({"rows": name, "cell": _cell(cell), **values})
    if not rows:
        return None
    columns = {key: title for key, title in FIDELITY.items() if any(key in row for row in rows)}
    return Section("copies", "Are they copies? Are they spread?", "copies", {"rows": rows, "columns": columns})


def _cell(cell: dict[str, Any]) -> str:
    share = f"{cell['share']:.0%} of the clips" if isinstance(cell.get("share"), float) else ""
    return ", ".join(part for part in (share, f"fold {cell['fold']}" if "fold" in cell else "") if part)


def projection(results: dict[str, Any]) -> Section | None:
    """Real and synthetic rows in two dimensions."""
    points = results.get("projection")
    if not points or not results.get("label_names"):
        return None
    figure = figures.projection("projection", points, results["label_names"])
    return Section("projection", "Real and synthetic features", "projection", {"figure": figure})


def curves(run: Run) -> list[Section]:
    """Training curves: of the trainings in the folder, or of the cell that holds all training clips."""
    found = {training.name: training.metrics for training in run.trainings if training.metrics}
    cells = [cell for cell in run.results.get("cells", []) if cell.get("curves")]
    if cells and not found:
        largest = max(cells, key=lambda cell: cell.get("share") or 0)
        found = {name: thinned(points) for name, points in largest["curves"].items() if points}
    if not found:
        return []
    drawn = [
        (name, figures.curves(f"curve{place}", name, _finite(points)))
        for place, (name, points) in enumerate(found.items())
    ]
    return [Section("curves", "Training curves", "curves", {"figures": drawn, "source": METRICS})]


def _finite(points: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in point.items() if isinstance(v, int | float) and math.isfinite(v)} for point in points]


def made(run: Run) -> Section:
    """Commands, seeds, machine, versions, corpora and licences."""
    results = run.results
    commands = [results["command"]] if results.get("command") else []
    commands += [training.command for training in run.trainings]
    corpora = list(results.get("corpora") or [])
    for checkpoint in run.checkpoints.values():
        corpora += [entry for entry in checkpoint.get("training_corpora") or [] if not _known(entry, corpora)]
    seeds = {"run": results["seed"]} if "seed" in results else {}
    seeds |= {training.name: training.config["seed"] for training in run.trainings if "seed" in training.config}
    fingerprint = results.get("fingerprint") or next(
        (c["feature_fingerprint"] for c in run.checkpoints.values() if c.get("feature_fingerprint")), None
    )
    values = {
        "commands": commands,
        "seeds": seeds,
        "machine": results.get("machine") or {},
        "seconds": results.get("seconds"),
        "versions": results.get("versions") or _versions(run),
        "corpora": [{**corpus, "speakers": _count(corpus.get("speakers"))} for corpus in corpora],
        "unheard": results.get("unheard_speakers"),
        "fingerprint": fingerprint,
    }
    return Section("made", "How it was made", "made", values)


def _known(entry: dict[str, Any], corpora: list[dict[str, Any]]) -> bool:
    return any(entry.get("name") == corpus.get("name") for corpus in corpora)


def _versions(run: Run) -> dict[str, str]:
    """What the checkpoints say that they were saved with."""
    found = {c["transformers_version"] for c in run.checkpoints.values() if c.get("transformers_version")}
    return {"transformers": ", ".join(sorted(found))} if found else {}


def _count(speakers: Any) -> Any:
    return len(speakers) if isinstance(speakers, list) else speakers
