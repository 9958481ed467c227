"""What a neural network or trees add to a posterior that is already there. Imports torch, scikit-learn, siblings.

Both learn on four fifths of the rows and are weighed on the last fifth, where a useless correction gets no weight.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from .adamw import AdamW, dropped
from .interactions import interacting_columns
from .linear_classifier import log_softmax, smoothed
from .posteriors import ROWS_FOR_QUARTILES, Squash

TREE_COLUMNS = 16
HIDDEN = 64
PATIENCE = 6
MOST_STEPS = 2000
RATE = 3e-3
DECAY = 1e-2
DROPPED = 0.2


class Network:
    """A small network on squashed columns whose output is added to the log-odds there are; starts as no change."""

    def __init__(self, features: np.ndarray, base: np.ndarray, codes: np.ndarray, valid: np.ndarray, seed: int):
        self.squash = Squash(features[~valid])
        classes = base.shape[1]
        draw = torch.Generator().manual_seed(seed)
        columns = features.shape[1]
        sizes = [(columns, HIDDEN), (HIDDEN,), (HIDDEN, HIDDEN), (HIDDEN,), (HIDDEN, classes), (classes,)]
        self.parameters = [torch.zeros(size) for size in sizes]
        for matrix in (self.parameters[0], self.parameters[2]):
            matrix.normal_(std=len(matrix) ** -0.5, generator=draw)
        self.train(self.inputs(features), torch.from_numpy(base).float(), torch.from_numpy(codes), valid, draw)

    def inputs(self, features: np.ndarray) -> torch.Tensor:
        """Squashed columns (rows, columns)."""
        return torch.from_numpy(self.squash(features)).float()

    def change(self, x: torch.Tensor, draw: torch.Generator | None = None) -> torch.Tensor:
        """What is added to the log-odds (rows, classes); with `draw`, hidden units are dropped at random."""
        first, first_bias, second, second_bias, last, last_bias = self.parameters
        hidden = dropped(torch.nn.functional.silu(x @ first + first_bias), DROPPED, draw)
        hidden = dropped(torch.nn.functional.silu(hidden @ second + second_bias), DROPPED, draw)
        return hidden @ last + last_bias

    def train(
        self, x: torch.Tensor, base: torch.Tensor, codes: torch.Tensor, valid: np.ndarray, draw: torch.Generator
    ) -> None:
        """Trains until the validation rows stop improving; keeps the best."""
        train, check = torch.from_numpy(np.flatnonzero(~valid)), torch.from_numpy(np.flatnonzero(valid))
        batch = int(np.clip(len(codes) // 16, 16, 256))
        cross_entropy = torch.nn.functional.cross_entropy
        best, best_state = float(cross_entropy(base[check], codes[check])), [p.clone() for p in self.parameters]
        optimiser = AdamW(self.parameters, RATE, DECAY)
        bad = 0
        while bad < PATIENCE and optimiser.steps < MOST_STEPS:
            for rows in train[torch.randperm(len(train), generator=draw)].split(batch):
                optimiser.step(cross_entropy(base[rows] + self.change(x[rows], draw), codes[rows]))
            with torch.no_grad():
                value = float(cross_entropy(base[check] + self.change(x[check]), codes[check]))
            if value < best - 1e-4:
                best, best_state, bad = value, optimiser.values(), 0
            else:
                bad += 1
        self.parameters = best_state

    def log_proba(self, features: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Log-probabilities (rows, classes) given the log-probabilities `base` (rows, classes) so far."""
        with torch.no_grad():
            return log_softmax(base + self.change(self.inputs(features)).double().numpy())


class Trees:
    """Gradient-boosted trees on the columns that vary most between the classes.

    They are not shown the log-odds there are: for training rows these come from rows left out, and trees find the
    dent that a row leaves in its own neighbourhood.
    """

    def __init__(self, features: np.ndarray, base: np.ndarray, codes: np.ndarray, valid: np.ndarray, seed: int):
        self.columns = telling_columns(features[~valid], codes[~valid], TREE_COLUMNS)
        self.classes = base.shape[1]
        self.rows = int((~valid).sum())
        counts = np.bincount(codes, minlength=self.classes)
        self.prior = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
        self.model = None
        if len(np.unique(codes[~valid])) < 2:
            return
        self.model = HistGradientBoostingClassifier(
            max_iter=100, learning_rate=0.12, max_leaf_nodes=8, min_samples_leaf=10, early_stopping=True,
            n_iter_no_change=5, random_state=seed,
        )  # fmt: skip
        x = features[:, self.columns]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            self.model.fit(x[~valid], codes[~valid], X_val=x[valid], y_val=codes[valid])

    def log_proba(self, features: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Log-probabilities (rows, classes) given the log-probabilities `base` (rows, classes) so far."""
        if self.model is None:
            return np.tile(np.log(self.prior), (len(features), 1))
        out = np.zeros((len(features), self.classes))
        out[:, self.model.classes_] = self.model.predict_proba(features[:, self.columns])
        return smoothed(np.log(np.maximum(out, 1e-300)), self.prior, 1.0 / self.rows)


def telling_columns(features: np.ndarray, codes: np.ndarray, most: int) -> np.ndarray:
    """Indices of columns that clearly interact, then of those whose quantile bins differ most between the classes.

    The latter by Pearson's chi-square. Where columns interact, those that differ by no more than chance are left out:
    among them trees would not find the first split.
    """
    if features.shape[1] <= most:
        return np.arange(features.shape[1])
    score = class_differences(features, codes)
    pairs = interacting_columns(Squash(features)(features), codes, most // 2)
    if len(pairs):
        freedom = 7.0 * int(codes.max())
        score[score < freedom + 4 * np.sqrt(2 * freedom)] = 0
        score[pairs] = np.inf
        most = min(most, int((score > 0).sum()))
    return np.sort(np.argsort(-score, kind="stable")[:most])


def class_differences(features: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Pearson's chi-square (columns,) of the classes against eight quantile bins of each column."""
    some = features[:: max(len(features) // ROWS_FOR_QUARTILES, 1)]
    # Values that occur: between two of them, rounding would put ties on another side after a change of scale.
    edges = np.quantile(some, np.arange(1, 8) / 8, axis=0, method="inverted_cdf")
    indicator = np.eye(int(codes.max()) + 1)[codes]
    expected = indicator.mean(axis=0)
    score = np.zeros(features.shape[1])
    below = np.zeros_like(indicator.T @ features)
    total = np.zeros(features.shape[1])
    for edge in [*edges, np.full(features.shape[1], np.inf)]:
        inside = features <= edge
        count = inside.sum(axis=0)
        joint = indicator.T @ inside
        cell, size = joint - below, count - total
        score += ((cell - expected[:, None] * size) ** 2 / np.maximum(expected[:, None] * size, 1e-9)).sum(axis=0)
        below, total = joint, count
    return score
