"""Shrinkage LDA on rows of two corpora, from their statistics: dozens of mixtures for one pass over the rows.

The same classifier as `fit_plain("lda", ...)` on the target's rows repeated and the foreign rows behind them.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassStatistics:
    """By class: counts (classes,), means (classes, dim); scatter about the class means, summed: (dim, dim)."""

    counts: np.ndarray
    means: np.ndarray
    scatter: np.ndarray


def class_statistics(features: np.ndarray, labels: np.ndarray, classes: int) -> ClassStatistics:
    """Statistics of float (rows, dim) and int (rows,); a class without a row has the mean 0."""
    features = features.astype(np.float64)
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    means = np.zeros((classes, features.shape[1]))
    np.add.at(means, labels, features)
    means /= np.maximum(counts, 1)[:, None]
    residual = features - means[labels]
    return ClassStatistics(counts, means, residual.T @ residual)


def mixed_lda(
    own: ClassStatistics, foreign: ClassStatistics, repeat: int, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights float (classes, dim) and offsets (classes,) of the LDA on own rows `repeat` times over and foreign rows.

    Args:
        own: of the target's rows, every class at least once.
        foreign: of the foreign rows.
        repeat: weight of an own row.
        shrinkage: share of the covariance replaced by a multiple of the identity.
    """
    counts = repeat * own.counts + foreign.counts
    share = (foreign.counts / counts)[:, None]
    apart = foreign.means - own.means
    means = own.means + share * apart
    # Within a class, two groups with different means add the scatter between them.
    between = (apart * (counts[:, None] * share * (1 - share))).T @ apart
    covariance = (repeat * own.scatter + foreign.scatter + between) / counts.sum()
    level = np.trace(covariance) / len(covariance)
    covariance = (1 - shrinkage) * covariance + shrinkage * level * np.eye(len(covariance))
    weights = np.linalg.solve(covariance, means.T).T
    return weights, np.log(counts / counts.sum()) - 0.5 * (weights * means).sum(1)
