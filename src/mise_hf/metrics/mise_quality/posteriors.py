"""Kinds of classifier that a label bound may use, each with honest scores of its own training rows. Siblings only.

A posterior offers `held_out` (rows, classes): log-probabilities of its training rows by fits that left them out, and
`log_proba(features)` for new rows. `near` is where its search for a strength ended: a like fit may start there.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.spatial import cKDTree

from .interactions import interacting_columns
from .linear_classifier import fit_linear, principal_axes, smoothed
from .unmixing import independent_rotation

PRODUCT_AXES = 20
UNMIXED_AXES = 64
MOST_ROWS_LOOKED_AT = 16_384
NEIGHBOUR_COLUMNS = 6
# Enough to tell a column's width by; the quartiles of all rows would cost more than the fit that follows.
ROWS_FOR_QUARTILES = 1000
# Excess kurtosis: Laplace has 3. Below LIGHT in every column, squashing is idle.
HEAVY, LIGHT = 6.0, 1.0
# Tails of mixed sources: rows for each source that independent components need; the least excess of long rows over
# normal ones worth a further ridge; and standard errors by which it must be clear.
ROWS_PER_SOURCE = 20
LEAST_MIXED = 0.05
CLEARLY_MIXED = 5.0
NEIGHBOURS = (10, 20, 40, 80)


class Posterior(Protocol):
    """What every classifier here can do."""

    held_out: np.ndarray
    near: int | None

    def log_proba(self, features: np.ndarray) -> np.ndarray:
        """Log-probabilities (rows, classes) in nats for `features` (rows, columns)."""


class Squash:
    """Columns brought to unit spread by median and quartiles, long tails bent in: one wild value cannot rule a fit."""

    def __init__(self, features: np.ndarray):
        some = features[:: max(len(features) // ROWS_FOR_QUARTILES, 1)]
        low, self.middle, high = np.quantile(some, [0.25, 0.5, 0.75], axis=0)
        width = (high - low) / 1.349
        fallback = features.std(axis=0)
        self.width = np.where(width > 1e-9 * fallback, width, np.where(fallback > 0, fallback, np.inf))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """The bent columns (rows, columns), within -3 and 3."""
        return 3.0 * np.tanh((features - self.middle) / (3.0 * self.width))


class Mapped:
    """The calibrated ridge classifier on a map of the features."""

    def __init__(
        self,
        features: np.ndarray,
        codes: np.ndarray,
        classes: int,
        groups: np.ndarray | None,
        near: int | None = None,
    ):
        self.fit_map(features, codes)
        self.model = fit_linear(self.map(features), codes, classes, groups, near)
        self.held_out, self.near = self.model.held_out, self.model.strength

    def fit_map(self, features: np.ndarray, codes: np.ndarray) -> None:
        """Learns what the map needs from the training rows (rows, columns) and, if it must, their `codes` (rows,)."""

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

    def fit_map(self, features: np.ndarray, codes: np.ndarray) -> None:
        """Medians and quartiles."""
        self.map = Squash(features)  # type: ignore[method-assign]


class Products(Mapped):
    """Ridge on the leading axes and all their products: classes that differ in spread or by interaction."""

    def fit_map(self, features: np.ndarray, codes: np.ndarray) -> None:
        """Standardisation and, where there are more than PRODUCT_AXES columns, which axes are multiplied.

        These are columns that clearly interact, and then the principal axes.
        """
        self.squash = Squash(features)
        z = self.squash(features)
        self.centre = z.mean(axis=0)
        self.axes = None
        if features.shape[1] > PRODUCT_AXES:
            pairs = interacting_columns(z, codes, PRODUCT_AXES // 2)
            leading = principal_axes(z - self.centre)[1][:, ::-1][:, : PRODUCT_AXES - len(pairs)]
            self.axes = np.concatenate([np.eye(z.shape[1])[:, pairs], leading], axis=1)

    def map(self, features: np.ndarray) -> np.ndarray:
        """Axes (rows, A) and products (rows, A (A + 1) / 2), side by side."""
        z = self.squash(features) - self.centre
        z = z if self.axes is None else z @ self.axes
        i, j = np.triu_indices(z.shape[1])
        return np.concatenate([z, z[:, i] * z[:, j]], axis=1)


class Unmixed(Mapped):
    """Ridge on bounded scores of independent components, for heavy tails: in mixed columns one wild source hides all.

    The scores z / (1 + z^2 / s) turn back to 0 far out, as the log-likelihood ratio of heavy-tailed laws does.
    """

    def fit_map(self, features: np.ndarray, codes: np.ndarray) -> None:
        """Whitening by rows of bounded length, the leading UNMIXED_AXES axes, and their independent components."""
        self.centre = np.median(features, axis=0)
        z = features - self.centre
        width = np.median(np.abs(z), axis=0)
        # Columns that are mostly one value have no median width.
        width = np.where(width > 0, width, features.std(axis=0))
        length = np.sqrt(((z / np.where(width > 0, width, np.inf)) ** 2).mean(axis=1))
        usual = float(np.median(length)) or float(length.mean()) or 1.0
        z = z / np.maximum(length / usual, 1.0)[:, None]
        eigenvalues, axes = np.linalg.eigh(z.T @ z / len(z))
        keep = eigenvalues[-UNMIXED_AXES:] > 1e-9 * eigenvalues[-1]
        whiten = (axes[:, -UNMIXED_AXES:] / np.sqrt(np.maximum(eigenvalues[-UNMIXED_AXES:], 1e-300)))[:, keep]
        if eigenvalues[-1] > 0:
            self.sources = whiten @ independent_rotation(z @ whiten, np.eye(whiten.shape[1])).T
        else:
            # Columns that happen to be constant in these rows.
            self.sources = np.zeros((features.shape[1], 1))
        s = (features - self.centre) @ self.sources
        self.squash = Squash(s)

    def map(self, features: np.ndarray) -> np.ndarray:
        """Scores (rows, 3 axes) of the components at three reaches."""
        z = ((features - self.centre) @ self.sources - self.squash.middle) / self.squash.width
        # Beyond this the scores are 0 anyway, and its square would overflow.
        z = np.clip(z, -1e6, 1e6)
        return np.concatenate([z / (1 + z**2 / 0.5), z / (1 + z**2 / 4.0), 3.0 * np.tanh(z / 3.0)], axis=1)


class Neighbours:
    """Class frequencies among the nearest training rows, in few columns; as many as serve rows left out best."""

    def __init__(
        self,
        features: np.ndarray,
        codes: np.ndarray,
        classes: int,
        groups: np.ndarray | None,
        near: int | None = None,
    ):
        self.near = near
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


KINDS: dict[str, type] = {
    "linear": Linear,
    "squashed": Squashed,
    "unmixed": Unmixed,
    "products": Products,
    "neighbours": Neighbours,
}


def kinds_for(features: np.ndarray) -> tuple[str, ...]:
    """Names of the kinds that make sense for `features` (rows, columns)."""
    without = set()
    if features.shape[1] > NEIGHBOUR_COLUMNS:
        without.add("neighbours")
    kurtosis = excess_kurtosis(features)
    if np.median(kurtosis) <= HEAVY and not mixed_tails(features):
        without.add("unmixed")
    if kurtosis.max() <= LIGHT:
        # Squashing changes next to nothing here, and a second ridge costs as much as the first.
        without.add("squashed")
    return tuple(kind for kind in KINDS if kind not in without)


def excess_kurtosis(features: np.ndarray) -> np.ndarray:
    """E z^4 - 3 of each column (columns,) of `features` (rows, columns)."""
    z = features[:MOST_ROWS_LOOKED_AT].astype(np.float64)
    z -= z.mean(axis=0)
    z *= z
    square = z.sum(axis=0)
    z *= z
    return z.sum(axis=0) * len(z) / np.maximum(square**2, 1e-300) - 3


def mixed_tails(features: np.ndarray) -> bool:
    """Whether long rows are clearly more common than in normal data (Mardia 1970): tails that mixing hides in columns.

    With more columns than UNMIXED_AXES there is no telling, since only leading axes would be unmixed.
    """
    columns = features.shape[1]
    z = features[:MOST_ROWS_LOOKED_AT].astype(np.float64)
    if columns < 2 or columns > UNMIXED_AXES or len(z) < ROWS_PER_SOURCE * columns:
        return False
    z -= z.mean(axis=0)
    eigenvalues, axes = np.linalg.eigh(z.T @ z / len(z))
    kept = eigenvalues > 1e-9 * eigenvalues[-1]
    white = z @ (axes[:, kept] / np.sqrt(eigenvalues[kept]))
    normal = white.shape[1] * (white.shape[1] + 2)
    excess = float(np.mean((white**2).sum(axis=1) ** 2)) / normal - 1
    return excess > max(LEAST_MIXED, CLEARLY_MIXED * np.sqrt(8 / (normal * len(z))))


def heavy_tailed(features: np.ndarray) -> bool:
    """Whether half of the columns of `features` (rows, columns) have an excess kurtosis above HEAVY."""
    return bool(np.median(excess_kurtosis(features)) > HEAVY)
