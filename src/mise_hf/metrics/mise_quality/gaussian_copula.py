"""Mutual information of a Gaussian copula, freed of its small-sample bias. Imports numpy and scipy only."""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, ndtri
from scipy.stats import rankdata

# Caps a column's share at about 7 nats, where one side is a function of the other and the truth is infinite.
JITTER = 1e-6


def normal_scores(x: np.ndarray) -> np.ndarray:
    """Each column of `x` (rows, columns) replaced by the standard normal quantiles of its ranks."""
    return ndtri(rankdata(x, axis=0) / (len(x) + 1))


def log_det_excess(columns: int, freedom: int) -> float:
    """E log|S| - log|Sigma| of a sample covariance with `freedom` degrees (Goodman 1963; Misra et al. 2005, eq. 3)."""
    i = np.arange(columns)
    return float(digamma((freedom - i) / 2).sum() + columns * np.log(2.0 / freedom))


def joint_covariance(joint: np.ndarray) -> np.ndarray:
    """Covariance (columns, columns) of centred columns of about unit variance, held off singularity by JITTER."""
    return joint.T @ joint / (len(joint) - 1) + JITTER * np.eye(joint.shape[1])


def quadratic(x: np.ndarray, form: np.ndarray) -> np.ndarray:
    """x' form x of each row of `x` (rows, columns): (rows,)."""
    return ((x @ form) * x).sum(axis=1)


def gaussian_information(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """I(x; y) in nats under joint normality, unbiased for normal data, and each row's share of it.

    Args:
        x: (rows, X) and y: (rows, Y), rows > X + Y + 1.
    """
    rows, dx = x.shape
    dy = y.shape[1]
    joint = np.concatenate([x - x.mean(0), y - y.mean(0)], axis=1)
    covariance = joint_covariance(joint)
    terms = []
    logdets = []
    for block in (slice(0, dx), slice(dx, dx + dy), slice(0, dx + dy)):
        chol = np.linalg.cholesky(covariance[block, block])
        white = np.linalg.solve(chol, joint[:, block].T)
        terms.append((white**2).sum(0))
        logdets.append(2 * np.log(np.diag(chol)).sum())
    freedom = rows - 1
    excess = log_det_excess(dx, freedom) + log_det_excess(dy, freedom) - log_det_excess(dx + dy, freedom)
    raw = 0.5 * (logdets[0] + logdets[1] - logdets[2] - excess)
    shares = 0.5 * (terms[0] + terms[1] - terms[2])
    return float(raw), shares - shares.mean() + raw
