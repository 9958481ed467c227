"""Mutual information of a Student copula: dependence that shows in shared wild rows, even at correlation 0.

Imports numpy, scipy and siblings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, psi, stdtrit
from scipy.stats import rankdata

from .gaussian_copula import JITTER, log_det_excess, quadratic

FREEDOMS = np.geomspace(0.7, 60.0, 16)
STEPS = 25


@dataclass(frozen=True)
class StudentFit:
    """A Student copula of the columns of x and y together.

    Attributes:
        freedom: degrees of freedom with the highest likelihood, between neighbours of the grid by a parabola.
        gain: log-likelihood per row above that of the largest freedom (nearly normal), in nats.
        information: I(x; y) in nats.
        scores: (rows, X + Y), t-quantiles of the ranks.
        shape: (X + Y, X + Y), dispersion matrix.
    """

    freedom: float
    gain: float
    information: float
    scores: np.ndarray
    shape: np.ndarray


def student_scores(ranks: np.ndarray, freedom: float) -> np.ndarray:
    """Quantiles of Student's t with `freedom` degrees at the ranks (rows, columns) over rows + 1."""
    return stdtrit(freedom, ranks / (len(ranks) + 1))


def shape_of(z: np.ndarray, freedom: float) -> np.ndarray:
    """Dispersion (columns, columns) of maximum likelihood, mean 0 (Liu & Rubin 1995, eq. 5)."""
    rows, columns = z.shape
    shape = np.eye(columns)
    for _ in range(STEPS):
        distance = (np.linalg.solve(np.linalg.cholesky(shape), z.T) ** 2).sum(axis=0)
        weight = (freedom + columns) / (freedom + distance)
        updated = (z * weight[:, None]).T @ z / rows + JITTER * np.eye(columns)
        if np.abs(updated - shape).max() < 1e-5:
            return updated
        shape = updated
    return shape


def log_density(z: np.ndarray, shape: np.ndarray, freedom: float) -> np.ndarray:
    """log t(z; 0, shape, freedom) (rows,) in nats."""
    columns = z.shape[1]
    chol = np.linalg.cholesky(shape)
    distance = (np.linalg.solve(chol, z.T) ** 2).sum(axis=0)
    constant = gammaln((freedom + columns) / 2) - gammaln(freedom / 2) - columns / 2 * np.log(freedom * np.pi)
    return constant - np.log(np.diag(chol)).sum() - (freedom + columns) / 2 * np.log1p(distance / freedom)


def shared_scale_information(freedom: float, x: int, y: int) -> float:
    """What the common scale alone says, x and y columns (Arellano-Valle et al. 2013, eq. 17), in nats."""

    def entropy(columns: int) -> float:
        half = (freedom + columns) / 2
        constant = gammaln(freedom / 2) - gammaln(half) + columns / 2 * np.log(freedom * np.pi)
        return float(constant + half * (psi(half) - psi(freedom / 2)))

    return entropy(x) + entropy(y) - entropy(x + y)


def fit_student(x: np.ndarray, y: np.ndarray) -> StudentFit:
    """Fits the copula to `x` (rows, X) and `y` (rows, Y) by maximum likelihood over the grid FREEDOMS."""
    ranks = np.concatenate([rankdata(x, axis=0), rankdata(y, axis=0)], axis=1)
    likelihood = np.array([copula_likelihood(ranks, freedom) for freedom in FREEDOMS])
    best = int(likelihood.argmax())
    freedom = FREEDOMS[best]
    if 0 < best < len(FREEDOMS) - 1:
        before, here, after = likelihood[best - 1 : best + 2]
        step = 0.5 * (before - after) / (before - 2 * here + after)
        freedom = float(np.exp(np.log(freedom) + step * np.log(FREEDOMS[1] / FREEDOMS[0])))
    z = student_scores(ranks, freedom)
    shape = shape_of(z, freedom)
    rows, split, columns = len(x), x.shape[1], z.shape[1]
    logdet = [np.linalg.slogdet(s)[1] for s in (shape[:split, :split], shape[split:, split:], shape)]
    # The weights make the dispersion a little noisier than a covariance from as many rows.
    effective = int((rows - 1) * (freedom + columns) / (freedom + columns + 2))
    excess = sum(log_det_excess(c, effective) for c in (split, columns - split)) - log_det_excess(columns, effective)
    information = 0.5 * (logdet[0] + logdet[1] - logdet[2] - excess)
    information += shared_scale_information(freedom, split, columns - split)
    return StudentFit(freedom, float(likelihood[best] - likelihood[-1]), float(information), z, shape)


def copula_likelihood(ranks: np.ndarray, freedom: float) -> float:
    """Mean log-likelihood (nats) of the Student copula at the ranks (rows, columns)."""
    z = student_scores(ranks, freedom)
    joint = log_density(z, shape_of(z, freedom), freedom)
    margins = log_density(z.reshape(-1, 1), np.eye(1), freedom).reshape(z.shape).sum(axis=1)
    return float((joint - margins).mean())


class StudentRatio:
    """log p(x, y) / (p(x) p(y)) under a fitted Student copula, for matched and mismatched rows."""

    def __init__(self, fit: StudentFit, split: int):
        self.freedom, self.split, self.columns = fit.freedom, split, fit.scores.shape[1]
        self.x, self.y = fit.scores[:, :split], fit.scores[:, split:]
        inverse = np.linalg.inv(fit.shape)
        self.cross = self.x @ inverse[:split, split:]
        self.x_part = quadratic(self.x, inverse[:split, :split])
        self.y_part = quadratic(self.y, inverse[split:, split:])
        self.x_alone = log_density(self.x, fit.shape[:split, :split], self.freedom)
        self.y_alone = log_density(self.y, fit.shape[split:, split:], self.freedom)
        self.constant = log_density(np.zeros((1, self.columns)), fit.shape, self.freedom)[0]

    def __call__(self, shift: int) -> np.ndarray:
        """The log-ratio (rows,) of row i of x with row i + shift of y."""
        other = np.roll(np.arange(len(self.x)), -shift)
        distance = self.x_part + self.y_part[other] + 2 * (self.cross * self.y[other]).sum(axis=1)
        joint = self.constant - (self.freedom + self.columns) / 2 * np.log1p(distance / self.freedom)
        return joint - self.x_alone - self.y_alone[other]
