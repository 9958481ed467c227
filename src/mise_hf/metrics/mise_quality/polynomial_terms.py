"""Regression on a few telling polynomial terms: the non-linear part of what one side says about the other's mean.

Terms are Hermite polynomials of single columns and products over two columns, which are uncorrelated when the columns
are independent normals, so screening each by its own correlation is meaningful. Imports numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_COLUMNS = 24
DEGREE = 7
# Bound on a normal score: beyond it a seventh power is one row's opinion.
REACH = 3.0


@dataclass(frozen=True)
class Terms:
    """Which products of powers are used: `first`, `second` name columns, `p`, `q` degrees (q = 0: one column only)."""

    first: np.ndarray
    p: np.ndarray
    second: np.ndarray
    q: np.ndarray


def hermite(x: np.ndarray) -> np.ndarray:
    """Normalised probabilists' Hermite polynomials (rows, columns, DEGREE + 1), degree 0 first."""
    z = np.clip(x, -REACH, REACH)
    out = [np.ones_like(z), z]
    for degree in range(2, DEGREE + 1):
        out.append((z * out[-1] - np.sqrt(degree - 1) * out[-2]) / np.sqrt(degree))
    return np.stack(out, axis=-1)


def every_term(columns: int) -> Terms:
    """All terms of degree 2 to DEGREE in one column, and of total degree 2 to DEGREE in two."""
    single = [(i, p, 0, 0) for i in range(columns) for p in range(2, DEGREE + 1)]
    double = [
        (i, p, j, q)
        for i in range(columns)
        for j in range(i + 1, columns)
        for p in range(1, DEGREE)
        for q in range(1, DEGREE + 1 - p)
    ]
    return Terms(*np.array(single + double).T)


def evaluated(powers: np.ndarray, terms: Terms, chosen: np.ndarray) -> np.ndarray:
    """Values (rows, chosen) of the chosen terms."""
    i, p, j, q = terms.first[chosen], terms.p[chosen], terms.second[chosen], terms.q[chosen]
    return powers[:, i, p] * powers[:, j, q]


class PolynomialRegression:
    """Predicts each column of `y` (rows, Y) from the terms of `x` (rows, X) that correlate with it beyond chance.

    A column with no such term is predicted by 0. `gain` sums, over the columns, the share of the training rows'
    variance that the terms explain beyond their expected noise.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.columns = min(x.shape[1], MOST_COLUMNS)
        powers = hermite(x[:, : self.columns])
        self.terms = every_term(self.columns)
        linear = np.concatenate([np.ones((len(x), 1)), x], axis=1)
        target = y - linear @ np.linalg.lstsq(linear, y, rcond=None)[0]
        target = target / target.std(axis=0)
        z = screen(powers, self.terms, target)
        count = len(self.terms.p)
        # Bonferroni over terms and columns: under independence one term in twenty data sets is let in.
        threshold = np.sqrt(2 * np.log(20 * count * y.shape[1]))
        self.models: list[tuple[int, np.ndarray, np.ndarray]] = []
        self.gain = 0.0
        for column in range(y.shape[1]):
            chosen = np.flatnonzero(np.abs(z[:, column]) > threshold)
            if len(chosen):
                self.add(column, chosen, z[:, column], powers, target[:, column])

    def add(self, column: int, chosen: np.ndarray, z: np.ndarray, powers: np.ndarray, target: np.ndarray) -> None:
        """Fits one column on the terms let in and on their weaker relatives in the same columns of x."""
        t = self.terms
        pairs = {(int(t.first[k]), int(t.second[k]) if t.q[k] else -1) for k in chosen}
        related = np.array(
            [k for k in range(len(t.p)) if (int(t.first[k]), int(t.second[k]) if t.q[k] else -1) in pairs]
        )
        related = related[np.abs(z[related]) > 2.0]
        related = related[np.argsort(-np.abs(z[related]), kind="stable")][: max(len(target) // 20, 1)]
        phi = evaluated(powers, t, related)
        mean = phi.mean(axis=0)
        phi = phi - mean
        gram = phi.T @ phi
        gram[np.diag_indices(len(gram))] += 0.02 * np.trace(gram) / len(gram)
        weights = np.linalg.solve(gram, phi.T @ target)
        explained = float(np.mean(target**2) - np.mean((target - phi @ weights) ** 2))
        self.gain += max(explained - len(related) / len(target), 0.0)
        self.models.append((column, related, weights))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predictions (rows, columns that have terms)."""
        powers = hermite(x[:, : self.columns])
        return np.stack([evaluated(powers, self.terms, c) @ w for _, c, w in self.models], axis=1)


def screen(powers: np.ndarray, terms: Terms, target: np.ndarray) -> np.ndarray:
    """Correlation of every term with every target, times sqrt(rows): (terms, targets)."""
    rows = len(target)
    centred = target - target.mean(axis=0)
    out = np.empty((len(terms.p), target.shape[1]))
    for start in range(0, len(terms.p), 512):
        chosen = np.arange(start, min(start + 512, len(terms.p)))
        phi = evaluated(powers, terms, chosen)
        spread = phi.std(axis=0)
        out[chosen] = (phi.T @ centred) / np.maximum(spread, 1e-12)[:, None] / np.sqrt(rows)
    return out
