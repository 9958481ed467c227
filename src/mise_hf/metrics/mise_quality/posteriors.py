"""Kinds of classifier that a label bound may use, each with honest scores of its own training rows. Siblings only.

A posterior offers `held_out` (rows, classes): log-probabilities of its training rows by fits that left them out, and
`log_proba(features)` for new rows.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.spatial import cKDTree

from .linear_classifier import fit_linear, principal_axes, smoothed

PRODUCT_AXES = 20
NEIGHBOUR_COLUMNS = 6
NEIGHBOURS = (10, 20, 40, 80)


class Posterior(Protocol):
    """What every classifier here can do."""

    held_out: np.ndarray

    def log_proba(self, features: np.ndarray) -> np.ndarray:
        """Log-probabilities (rows, classes) in nats for `features` (rows, columns)."""


class Squash:
    """Columns brought to unit spread by median and quartiles, long tails bent in: one wild value cannot rule a fit."""

    def __init__(self, features: np.ndarray):
        low, self.middle, high = np.quantile(features, [0.25, 0.5, 0.75], axis=0)
        width = (high - low) / 1.349
        fallback = features.std(axis=0)
        self.width = np.where(width > 1e-9 * fallback, width, np.where(fallback > 0, fallback, np.inf))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """The bent columns (rows, columns), within -3 and 3."""
        return 3.0 * np.tanh((features - self.middle) / (3.0 * self.width))


class Mapped:
    """The calibrated ridge classifier on a map of the features."""

    def __init__(self, features: np.ndarray, codes: np.ndarray, classes: int, groups: np.ndarray | None):
        self.fit_map(features)
        self.model = fit_linear(self.map(features), codes, classes, groups)
        self.held_out = self.model.held_out

    def fit_map(self, features: np.ndarray) -> None:
        """Learns what the map needs from the training rows (rows, columns)."""

    def map(self, features: np.ndarray) -> np.ndarray:
        """Features (rows, columns) as the ridge sees them (rows, columns')."""
        return features

    def log_proba(self, features: np.ndarray) -> np.ndarray:
        """Log-probabilities (rows, classes) in nats."""
        return self.model.log_proba(self.map(features))


class Linear(Mapped):
    """Ridge on the features as they are."""


class Squashed(Mapped):
    """Ridge on squashed columns, for heavy tails."""

    def fit_map(self, features: np.ndarray) -> None:
        """Medians and quartiles."""
        self.map = Squash(features)  # type: ignore[method-assign]


class Products(Mapped):
    """Ridge on the leading axes and all their products: classes that differ in spread or by interaction."""

    def fit_map(self, features: np.ndarray) -> None:
        """Standardisation and, where there are more than PRODUCT_AXES columns, principal axes."""
        self.squash = Squash(features)
        z = self.squash(features)
        self.centre = z.mean(axis=0)
        self.axes = None
        if features.shape[1] > PRODUCT_AXES:
            self.axes = principal_axes(z - self.centre)[1][:, ::-1][:, :PRODUCT_AXES]

    def map(self, features: np.ndarray) -> np.ndarray:
        """Axes (rows, A) and products (rows, A (A + 1) / 2), side by side."""
        z = self.squash(features) - self.centre
        z = z if self.axes is None else z @ self.axes
        i, j = np.triu_indices(z.shape[1])
        return np.concatenate([z, z[:, i] * z[:, j]], axis=1)


class Neighbours:
    """Class frequencies among the nearest training rows, in few columns; as many as serve rows left out best."""

    def __init__(self, features: np.ndarray, codes: np.ndarray, classes: int, groups: np.ndarray | None):
        counts = np.bincount(codes, minlength=classes)
        self.prior = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
        self.squash, self.codes = Squash(features), codes
        z = self.squash(features)
        self.tree = cKDTree(z)
        # A row's own group may fill the nearest places, so more of them are looked at.
        wide = min((1 if groups is None else 4) * NEIGHBOURS[-1] + 1, len(codes))
        index = self.tree.query(z, k=wide)[1]
        own = np.arange(len(codes))[:, None]
        apart = index != own if groups is None else groups[index] != groups[own]
        tried = [self.frequencies(index, apart, size) for size in NEIGHBOURS]
        losses = [-float(q[np.arange(len(codes)), codes].mean()) for q in tried]
        best = int(np.argmin(losses))
        self.size, self.held_out = NEIGHBOURS[best], tried[best]

    def log_proba(self, features: np.ndarray) -> np.ndarray:
        """Log-probabilities (rows, classes) in nats."""
        index = self.tree.query(self.squash(features), k=min(self.size, len(self.codes)))[1]
        return self.frequencies(index, np.ones(index.shape, dtype=bool), self.size)

    def frequencies(self, index: np.ndarray, allowed: np.ndarray, size: int) -> np.ndarray:
        """Log of the class frequencies (rows, classes) in the `size` nearest allowed rows, nearest first."""
        used = allowed & (np.cumsum(allowed, axis=1) <= size)
        votes = np.stack([(used & (self.codes[index] == c)).sum(1) for c in range(len(self.prior))], axis=1)
        log_proba = np.log((votes + self.prior) / (used.sum(axis=1, keepdims=True) + 1.0))
        return smoothed(log_proba, self.prior, 1.0 / (len(self.codes) + len(self.prior)))


KINDS: dict[str, type] = {"linear": Linear, "squashed": Squashed, "products": Products, "neighbours": Neighbours}


def kinds_for(columns: int) -> tuple[str, ...]:
    """Names of the kinds that make sense for so many columns."""
    return tuple(kind for kind in KINDS if kind != "neighbours" or columns <= NEIGHBOUR_COLUMNS)
