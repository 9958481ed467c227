"""The settings of a transfer, chosen by leaving out groups of the target's training speakers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
# for how sure it is. What would need to be far surer or far less sure than these allow is not trusted: with 0.01 to 100
# the best plain classifier of EmoDB (30 %) had 83.8, with these 85.1; of RAVDESS (20 %) 68.4 and 69.0.
TEMPERATURES = np.geomspace(0.1, 3, 12)

Key = TypeVar("Key", Settings, Unlabelled)
# Generator, the prior by which states are placed in its space, and the prior that is moved.
Believed = tuple[MiseGenerator, Prior, Prior]


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
class Fold:
    """An inner fold in a generator's space.

    Attributes:
        prior: that is moved.
        space: that takes states in, placed by the fit alone.
        features: float64 (rows, dim) of the fit.
        labels: int (rows,) of the fit.
        held: row numbers of the left-out speakers.
        held_features: float64 (held rows, dim).
    """

    prior: Prior
    space: MiseFeatureSpace
    features: np.ndarray
    labels: np.ndarray
    held: np.ndarray
    held_features: np.ndarray


@dataclass(frozen=True)
class Inside:
    """The chosen settings, and how they did: row numbers of left-out speakers and log_posterior (rows, classes)."""

    settings: Settings
    held: np.ndarray
    log_posterior: np.ndarray


def placed_folds(rows: Labelled, believed: Callable[[np.ndarray], Believed]) -> list[Fold]:
    """The inner folds.

    Args:
        rows: of the target.
        believed: row numbers of a fit -> the generator whose space it is, the prior by which states are placed in it,
            and the prior that is moved. Of a generator of another corpus these are always the same; one that is made of
            the target's rows has to be made of the fit's alone.
    """
    folds = []
    for fit, held in rows.inner_folds():
        labels = rows.labels[fit]
        generator, placed, prior = believed(fit)
        space = target_space(generator, placed, rows.states[fit], labels, rows.names)
        inside, outside = features_in(space, rows.states[fit]), features_in(space, rows.states[held])
        folds.append(Fold(prior, space, inside, labels, held, outside))
    return folds


def choose_settings(folds: Sequence[Fold], rows: Labelled) -> Inside:
    """The settings with the best class-balanced log probability of left-out speakers' rows.

    Not UAR: of forty rows it takes so few values that it chooses by chance.
    """
    if not folds:
        return Inside(FALLBACK, np.empty(0, dtype=np.int64), np.empty((0, len(rows.names))))
    found: dict[Settings, list[np.ndarray]] = {settings: [] for settings in GRID}
    for fold in folds:
        for trust, group in groupby(GRID, key=lambda settings: settings.trust):
            means = posterior_means(fold.prior, fold.features, fold.labels, rows.names, trust)
            residual = fold.features - means[fold.labels]
            covariance = residual.T @ residual / len(residual)
            for settings in group:
                posterior = Posterior(means, posterior_covariance(fold.prior, covariance, settings))
                found[settings].append(log_posterior(posterior, fold.held_features))
    best = _best(found, folds, rows)
    return Inside(best, np.concatenate([fold.held for fold in folds]), np.concatenate(found[best]))


def choose_unlabelled(
    folds: Sequence[Fold], rows: Labelled, settings: Settings, states: np.ndarray, speakers: np.ndarray
) -> Unlabelled:
    """How rows without a label count, by the same measure; a left-out speaker's own are left out with him.

    Args:
        folds, rows: as in `choose_settings`.
        settings: chosen.
        states: float32 (unlabelled rows, state size).
        speakers: str (unlabelled rows,), "" where unknown.
    """
    if not folds:
        return UNLABELLED_GRID[0]
    found: dict[Unlabelled, list[np.ndarray]] = {how: [] for how in UNLABELLED_GRID}
    for fold in folds:
        others = features_in(fold.space, states[~np.isin(speakers, rows.speakers[fold.held])])
        for how in UNLABELLED_GRID:
            posterior = posterior_with_unlabelled(
                fold.prior, fold.features, fold.labels, rows.names, settings, others, how
            )
            found[how].append(log_posterior(posterior, fold.held_features))
    return _best(found, folds, rows)


def _best(found: Mapping[Key, list[np.ndarray]], folds: Sequence[Fold], rows: Labelled) -> Key:
    """The key of the least loss over all folds."""
    answers = rows.labels[np.concatenate([fold.held for fold in folds])]
    return min(found, key=lambda key: balanced_loss(answers, np.concatenate(found[key]))[0])


def balanced_loss(labels: np.ndarray, log_probabilities: np.ndarray) -> tuple[float, float]:
    """Class-balanced negative log probability at the best of `TEMPERATURES`, nats, and that temperature.

    Args:
        labels: int (rows,).
        log_probabilities: float (rows, classes), up to a constant a row.
    """
    return min((_loss_at(labels, log_probabilities, temperature), float(temperature)) for temperature in TEMPERATURES)


def tempered(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Log probabilities float (rows, classes) times the temperature, made to sum to one in each row."""
    scores = temperature * log_probabilities
    scores = scores - scores.max(1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def _loss_at(labels: np.ndarray, log_probabilities: np.ndarray, temperature: float) -> float:
    right = tempered(log_probabilities, temperature)[np.arange(len(labels)), labels]
    return float(-np.mean([right[labels == label].mean() for label in np.unique(labels)]))
