"""How many synthetic rows: chosen inside, down to none.

A ratio is taken where its gain in inner UAR over the best plain classifier is above the gain's own standard error over
the inner speakers, the best such ratio first. An augmentation that cannot show inside that it helps is not used, so
where nothing helps every method is the best plain classifier.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mise_hf.benchmark.place import Draw, Place
from mise_hf.benchmark.plain import Choice, fit_plain
from mise_hf.benchmark.statistics import unweighted_average_recall

# Synthetic rows to real ones.
RATIOS = (0.5, 1.0, 2.0)
# An MLP takes a hundred times as long to fit as an LDA.
MLP_RATIOS = (1.0,)


def offered(head: Choice) -> tuple[float, ...]:
    """The ratios tried with a head."""
    return MLP_RATIOS if head.family == "mlp" else RATIOS


def wanted_rows(rows: int, classes: int, ratio: float) -> np.ndarray:
    """The emotions of `ratio * rows` synthetic rows, in turn, so that a smaller ratio is a beginning of a larger."""
    return np.arange(round(ratio * rows)) % classes


def augmented(head: Choice, place: Place, made: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """Predictions of the place's held rows by a head fitted on its real and the synthetic rows."""
    features = np.concatenate([place.features, made.astype(np.float32)])
    return fit_plain(head.family, head.setting, features, np.concatenate([place.table.labels, wanted]), seed)(
        place.held
    )


def predictions_by_ratio(head: Choice, place: Place, draw: Draw, seed: int) -> dict[float, np.ndarray]:
    """Predictions of the place's held rows for each ratio offered, all from one draw."""
    classes, rows = len(place.table.label_names), len(place.table)
    wanted = wanted_rows(rows, classes, max(offered(head)))
    made = draw(wanted, seed)
    found = {}
    for ratio in offered(head):
        count = round(ratio * rows)
        found[ratio] = augmented(head, place, made[:count], wanted[:count], seed)
    return found


def best_above(
    candidates: Mapping[float, np.ndarray], baseline: np.ndarray, labels: np.ndarray, speakers: np.ndarray
) -> float | None:
    """The candidate whose predictions gain most over the baseline's, None where no gain is above its standard error.

    Args:
        candidates: ratio (or another setting) -> predictions int (rows,) of the inner held rows.
        baseline: predictions int (rows,).
        labels: int (rows,).
        speakers: str (rows,).
    """
    gains = {setting: _gain(labels, speakers, found, baseline) for setting, found in candidates.items()}
    shown = [setting for setting, (gain, error) in gains.items() if gain > error]
    return max(shown, key=lambda setting: gains[setting][0]) if shown else None


def inner_uars(candidates: Mapping[float, np.ndarray], labels: np.ndarray) -> dict[float, float]:
    """UAR of each candidate's predictions."""
    return {setting: unweighted_average_recall(labels, found) for setting, found in candidates.items()}


def pooled(parts: Sequence[Mapping[float, np.ndarray]]) -> dict[float, np.ndarray]:
    """Predictions of the inner folds one behind the other, setting by setting."""
    return {setting: np.concatenate([part[setting] for part in parts]) for setting in parts[0]}


def _gain(labels: np.ndarray, speakers: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Difference of UAR, and the standard error that follows from how it differs from speaker to speaker."""
    classes, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    right = ((first == labels).astype(float) - (second == labels)) / (len(classes) * counts[places])
    names, who = np.unique(speakers, return_inverse=True)
    parts = np.bincount(who, right, minlength=len(names))
    if len(parts) < 2:
        return float(parts.sum()), float("inf")
    return float(parts.sum()), float(np.sqrt(len(parts)) * parts.std(ddof=1))
