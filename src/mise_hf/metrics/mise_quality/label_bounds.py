"""I(c; h) as H(c) minus the cross-entropy of a classifier on rows that it has not seen. Imports numpy and siblings."""

from __future__ import annotations

import numpy as np

from .crossfit import fold_numbers
from .linear_classifier import fit_linear

FOLDS = 5


def entropy_of(codes: np.ndarray) -> float:
    """Plug-in entropy H(c) of `codes` (rows,) in nats."""
    p = np.bincount(codes) / len(codes)
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def held_out_scores(
    codes: np.ndarray, features: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """log q(c | h) - log p(c) (rows,) in nats, each row's q fitted on other rows (with groups: on other groups)."""
    classes = int(codes.max()) + 1
    fold = fold_numbers(codes, FOLDS, rng, groups)
    log_prior = np.log(np.bincount(codes, minlength=classes) / len(codes))
    scores = np.empty(len(codes))
    for k in np.unique(fold):
        test = fold == k
        model = fit_linear(features[~test], codes[~test], classes, None if groups is None else groups[~test])
        log_proba = model.log_proba(features[test])
        scores[test] = log_proba[np.arange(int(test.sum())), codes[test]] - log_prior[codes[test]]
    return scores


def mean_and_error(scores: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    """Mean of the scores and its standard error; with groups from the spread of the groups' sums."""
    mean = float(scores.mean())
    if groups is None:
        return mean, float(scores.std(ddof=1) / np.sqrt(len(scores)))
    sums = np.bincount(groups, weights=scores - mean)
    return mean, float(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / len(scores))
