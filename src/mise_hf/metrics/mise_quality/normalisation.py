"""Whether a Gaussian log-ratio is the log-ratio of a density: if not, the estimate built on it is too high.

exp(log-ratio) has mean 1 over independent pairs when it is one. Imports numpy and siblings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from .gaussian_copula import joint_covariance, quadratic

MOST_CANDIDATES = 2048
# Nats below which nothing is done about it.
LEAST_EXCESS = 0.02


@dataclass(frozen=True)
class Overshoot:
    """Nats by which the log-partition over independent pairs exceeds that of normal data, and its standard error."""

    excess: float
    stderr: float

    @property
    def clear(self) -> bool:
        """Whether the excess is beyond chance and worth doing something about."""
        return self.excess > max(3.0 * self.stderr, LEAST_EXCESS)


def overshoot(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Overshoot:
    """The excess for `x` (rows, X) and `y` (rows, Y), against normal rows of the same covariance and number.

    The comparison takes away what finitely many candidates and a fitted covariance do on their own.
    """
    mixed = rng.permutation(len(x))
    x, y = x[mixed] - x.mean(axis=0), y[mixed] - y.mean(axis=0)
    chol = np.linalg.cholesky(joint_covariance(np.concatenate([x, y], axis=1)))
    normal = rng.normal(size=(len(x), len(chol))) @ chol.T
    real, simulated = log_partition(x, y), log_partition(normal[:, : x.shape[1]], normal[:, x.shape[1] :])
    error = np.sqrt(real.var() / len(real) + simulated.var() / len(simulated))
    return Overshoot(float(real.mean() - simulated.mean()), float(error))


def log_partition(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """log of the mean of p(x, y) / (p(x) p(y)) over candidates (rows,), the mean of both directions.

    Rows are taken in parts of at most MOST_CANDIDATES, so they must come in random order; a normal law is fitted to
    all of them.
    """
    split = x.shape[1]
    covariance = joint_covariance(np.concatenate([x, y], axis=1))
    inverse = np.linalg.inv(covariance)
    blocks = (covariance[:split, :split], covariance[split:, split:])
    logdet = [np.linalg.slogdet(c)[1] for c in (*blocks, covariance)]
    constant = 0.5 * (logdet[0] + logdet[1] - logdet[2])
    x_part = quadratic(x, inverse[:split, :split] - np.linalg.inv(blocks[0]))
    y_part = quadratic(y, inverse[split:, split:] - np.linalg.inv(blocks[1]))
    cross = x @ inverse[:split, split:]
    out = []
    for part in np.array_split(np.arange(len(x)), -(-len(x) // MOST_CANDIDATES)):
        ratio = constant - 0.5 * (x_part[part, None] + y_part[part] + 2 * cross[part] @ y[part].T)
        ratio = ratio.astype(np.float32)
        out.append(0.5 * (logsumexp(ratio, axis=1) + logsumexp(ratio, axis=0)) - np.log(len(part)))
    return np.concatenate(out)
