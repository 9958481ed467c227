"""How many synthetic rows: chosen inside, down to none.

A ratio is taken where its gain in class-balanced log probability of the inner held rows, over the best plain
classifier's, is above the gain's own standard error over the inner speakers, the best such ratio first. So an
augmentation that does not help is mostly not used, and the method is the best plain classifier then: mostly, since luck
of one standard error is no rarity.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mise_hf.benchmark.place import Draw, Place
from mise_hf.benchmark.plain import Choice, fit_scores
from mise_hf.benchmark.statistics import unweighted_average_recall
from mise_hf.transfer.choice import balanced_loss, tempered

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
    """Log probabilities float (held rows, classes) by a head fitted on the place's real and the synthetic rows."""
    features = np.concatenate([place.features, made.astype(np.float32)])
    return fit_scores(head.family, head.setting, features, np.concatenate([place.table.labels, wanted]), seed)(
        place.held
    )


def scores_by_ratio(head: Choice, place: Place, draw: Draw, seed: int) -> dict[float, np.ndarray]:
    """Log probabilities of the place's held rows for each ratio offered, all from one draw."""
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
    """The candidate that gains most over the baseline, None where no gain is above its standard error.

    Args:
        candidates: ratio (or another setting) -> log probabilities float (rows, classes) of the inner held rows.
        baseline: log probabilities.
        labels: int (rows,).
        speakers: str (rows,).
    """
    reference = _balanced(labels, baseline)
    gains = {setting: _gain(speakers, _balanced(labels, found) - reference) for setting, found in candidates.items()}
    shown = [setting for setting, (gain, error) in gains.items() if gain > error]
    return max(shown, key=lambda setting: gains[setting][0]) if shown else None


def inner_uars(candidates: Mapping[float, np.ndarray], labels: np.ndarray) -> dict[float, float]:
    """UAR of each candidate's log probabilities."""
    return {setting: unweighted_average_recall(labels, found.argmax(1)) for setting, found in candidates.items()}


def pooled(parts: Sequence[Mapping[float, np.ndarray]]) -> dict[float, np.ndarray]:
    """Log probabilities of the inner folds one behind the other, setting by setting."""
    return {setting: np.concatenate([part[setting] for part in parts]) for setting in parts[0]}


def _balanced(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """What each row adds to the class-balanced log probability at the best temperature: float (rows,)."""
    classes, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    right = tempered(scores, balanced_loss(labels, scores)[1])[np.arange(len(labels)), labels]
    return right / (len(classes) * counts[places])


def _gain(speakers: np.ndarray, gains: np.ndarray) -> tuple[float, float]:
    """Sum of what rows gain, and the standard error that follows from how it differs from speaker to speaker."""
    names, who = np.unique(speakers, return_inverse=True)
    parts = np.bincount(who, gains, minlength=len(names))
    if len(parts) < 2:
        return float(parts.sum()), float("inf")
    return float(parts.sum()), float(np.sqrt(len(parts)) * parts.std(ddof=1))
