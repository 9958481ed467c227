"""The settings of a transfer, chosen by leaving out groups of the target's training speakers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, product
from typing import TypeVar

import numpy as np
from sklearn.model_selection import GroupKFold

from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.models.space_mise import MiseFeatureSpace
from mise_hf.transfer.adaptation import Posterior, Prior, Settings, log_posterior, posterior_covariance, posterior_means
from mise_hf.transfer.space import features_in, target_space
from mise_hf.transfer.unlabelled import Unlabelled, posterior_with_unlabelled

GRID = tuple(
    Settings(*values) for values in product((0.5, 1.0, 2.0, 4.0, 8.0, 32.0), (0.1, 0.3, 0.6, 1.0), (0.3, 0.5, 0.7))
)
# Where the target has too few speakers for inner folds.
FALLBACK = Settings(2.0, 0.3, 0.5)
# The first is: not at all. It wins where there are no inner folds, and where corpora differ too much.
UNLABELLED_GRID = tuple(
    Unlabelled(*values) for values in ((0.0, 1.0), (0.1, 0.3), (0.3, 0.15), (0.3, 0.3), (0.3, 0.6), (1.0, 0.3))
)
INNER_FOLDS = 4
# Log probabilities are scored at the best of these temperatures: a setting is chosen for how it ranks the emotions, not
# for how sure it is.
TEMPERATURES = np.geomspace(0.1, 3, 12)

Key = TypeVar("Key", Settings, Unlabelled)


@dataclass(frozen=True)
class Labelled:
    """The target's training rows: states float32 (rows, state size), labels int and speakers str (rows,), emotions."""

    states: np.ndarray
    labels: np.ndarray
    speakers: np.ndarray
    names: tuple[str, ...]

    def inner_folds(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Row numbers of fit and held-out speakers; a fold whose fit lacks an emotion is left out."""
        count = min(INNER_FOLDS, len(set(self.speakers)))
        if count < 2:
            return
        for fit, held in GroupKFold(count).split(self.states, groups=self.speakers):
            if len(np.unique(self.labels[fit])) == len(self.names):
                yield fit, held


@dataclass(frozen=True)
class _Fold:
    """An inner fold in the generator's space: float64 (rows, dim) and labels of the fit, row numbers of the held."""

    space: MiseFeatureSpace
    features: np.ndarray
    labels: np.ndarray
    held: np.ndarray
    held_features: np.ndarray


def _placed_folds(generator: MiseGenerator, placed: Prior, rows: Labelled) -> Iterator[_Fold]:
    """The inner folds, each placed by its fit alone."""
    for fit, held in rows.inner_folds():
        labels = rows.labels[fit]
        space = target_space(generator, placed, rows.states[fit], labels, rows.names)
        yield _Fold(space, features_in(space, rows.states[fit]), labels, held, features_in(space, rows.states[held]))


def choose_settings(generator: MiseGenerator, placed: Prior, prior: Prior, rows: Labelled) -> Settings:
    """The settings with the best class-balanced log probability of left-out speakers' rows.

    Not UAR: of forty rows it takes so few values that it chooses by chance.

    Args:
        generator: whose space it is.
        placed: prior by which the target's states are placed in it.
        prior: that is moved.
        rows: of the target.
    """
    found: dict[Settings, list[np.ndarray]] = {settings: [] for settings in GRID}
    truth = []
    for fold in _placed_folds(generator, placed, rows):
        truth.append(rows.labels[fold.held])
        for trust, group in groupby(GRID, key=lambda settings: settings.trust):
            means = posterior_means(prior, fold.features, fold.labels, rows.names, trust)
            residual = fold.features - means[fold.labels]
            covariance = residual.T @ residual / len(residual)
            for settings in group:
                posterior = Posterior(means, posterior_covariance(prior, covariance, settings))
                found[settings].append(log_posterior(posterior, fold.held_features))
    return _best(found, truth, FALLBACK)


def choose_unlabelled(
    generator: MiseGenerator,
    placed: Prior,
    prior: Prior,
    rows: Labelled,
    settings: Settings,
    states: np.ndarray,
    speakers: np.ndarray,
) -> Unlabelled:
    """How rows without a label count, by the same measure; a left-out speaker's own are left out with him.

    Args:
        generator, placed, prior, rows: as in `choose_settings`.
        settings: chosen.
        states: float32 (unlabelled rows, state size).
        speakers: str (unlabelled rows,), "" where unknown.
    """
    found: dict[Unlabelled, list[np.ndarray]] = {how: [] for how in UNLABELLED_GRID}
    truth = []
    for fold in _placed_folds(generator, placed, rows):
        others = features_in(fold.space, states[~np.isin(speakers, rows.speakers[fold.held])])
        truth.append(rows.labels[fold.held])
        for how in UNLABELLED_GRID:
            posterior = posterior_with_unlabelled(prior, fold.features, fold.labels, rows.names, settings, others, how)
            found[how].append(log_posterior(posterior, fold.held_features))
    return _best(found, truth, UNLABELLED_GRID[0])


def _best(found: Mapping[Key, list[np.ndarray]], truth: list[np.ndarray], fallback: Key) -> Key:
    """The key of the least loss over all folds; `fallback` where there was none."""
    if not truth:
        return fallback
    answers = np.concatenate(truth)
    return min(found, key=lambda key: _loss(answers, np.concatenate(found[key])))


def _loss(labels: np.ndarray, log_probabilities: np.ndarray) -> float:
    """Class-balanced negative log probability at the best temperature, nats."""
    losses = []
    for temperature in TEMPERATURES:
        scores = temperature * log_probabilities
        scores = scores - scores.max(1, keepdims=True)
        right = scores[np.arange(len(labels)), labels] - np.log(np.exp(scores).sum(1))
        losses.append(-np.mean([right[labels == label].mean() for label in np.unique(labels)]))
    return float(min(losses))
