"""Recalls and the paired test: predictions of two methods swapped speaker by speaker."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

# Up to this many speakers every swap is tried; above, this many are drawn.
EXACT_SPEAKERS = 14
DRAWN_SWAPS = 100_000


def unweighted_average_recall(labels: np.ndarray, predictions: np.ndarray) -> float:
    """UAR: mean over the classes present in `labels` of the share of their rows that are right, 0 to 1.

    Args:
        labels, predictions: int (rows,).
    """
    return float(np.mean([(predictions[labels == label] == label).mean() for label in np.unique(labels)]))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm, 1979, "A simple sequentially rejective multiple test procedure")."""
    order = np.argsort(p_values)
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = worst
    return corrected


@dataclass(frozen=True)
class PairedDifference:
    """Difference of pooled UAR, first minus second, and its two-sided p-value."""

    difference: float
    p_value: float


def swap_test(
    labels: np.ndarray, speakers: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int = 0
) -> PairedDifference:
    """Test two methods by swapping their predictions speaker by speaker and recomputing the pooled UAR.

    Clips of a speaker are not independent, speakers are: under "no difference" each speaker's two sets of predictions
    may change places. Exact over all 2^speakers swaps for up to 14 speakers, else over 10^5 draws.

    Args:
        labels: int (rows,).
        speakers: str (rows,).
        first, second: int (rows,) predictions, or (draws, rows): all draws of a speaker are swapped together.
        seed: of the drawn swaps.

    Raises:
        ValueError: for unequal shapes.
    """
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    if first.shape != second.shape or first.shape[1:] != labels.shape or labels.shape != speakers.shape:
        raise ValueError(
            f"labels {labels.shape}, speakers {speakers.shape}, first {first.shape}, second {second.shape}; wanted the "
            "same number of rows"
        )
    # Class counts are fixed, so pooled UAR is a sum over speakers and a swap turns one summand's sign.
    weight = np.zeros(len(labels))
    classes = np.unique(labels)
    for label in classes:
        weight[labels == label] = 1 / (len(classes) * (labels == label).sum())
    gain = ((first == labels).mean(0) - (second == labels).mean(0)) * weight
    parts = np.array([gain[speakers == speaker].sum() for speaker in np.unique(speakers)])
    observed = parts.sum()
    if len(parts) <= EXACT_SPEAKERS:
        signs = np.array(list(product((1, -1), repeat=len(parts))))
        extra = 0
    else:
        signs = np.random.default_rng(seed).choice((1, -1), size=(DRAWN_SWAPS, len(parts)))
        extra = 1
    # Sums of the same numbers in another order differ in the last bits: they must count as equal.
    reached = int((np.abs(signs @ parts) >= abs(observed) - 1e-12).sum())
    return PairedDifference(float(observed), (reached + extra) / (len(signs) + extra))
