"""An adapted generator's part in a cell: a head on what it makes, alone and beside the best plain classifier.

Beside it, the two heads' log probabilities are mixed; how much the synthetic rows' head has to say is chosen inside,
down to nothing. So few clips lean on the generator, and many on themselves.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mise_hf.benchmark.plain import TunedPlain, fit_scores, inner_folds
from mise_hf.features import FeatureTable
from mise_hf.metrics.mise_quality.carried import carried_information
from mise_hf.metrics.mise_quality.information import label_information
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.transfer import Transfer, adapt, fit_transfer
from mise_hf.transfer.choice import balanced_loss, tempered

WITH_PLAIN = " & best plain"
# What the head on synthetic rows may weigh.
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Rows of each emotion that the head of an adapted generator is fitted on, and those that the measures are taken of: the
# time of I(c; h) grows with them.
ROWS_OF_A_CLASS, MEASURED_ROWS_OF_A_CLASS = 1000, 60
# The adapted covariance is shrunk already: only what the draw of its rows adds is left.
SHRINKAGE = 0.01


@dataclass(frozen=True)
class PlainScores:
    """The best plain classifier's log probabilities, at its temperature.

    Attributes:
        test: float (test rows, classes).
        inner: float (inner held rows, classes).
        labels: int (inner held rows,).
        held: row numbers of those in the training table; None where they are the development rows.
    """

    test: np.ndarray
    inner: np.ndarray
    labels: np.ndarray
    held: np.ndarray | None


@dataclass(frozen=True)
class AdaptedRows:
    """What an adapted generator makes and the test rows, both in its space.

    Attributes:
        made: float32 (synthetic rows, dim).
        labels: int (synthetic rows,).
        test: float32 (test rows, dim).
    """

    made: np.ndarray
    labels: np.ndarray
    test: np.ndarray

    def scores(self) -> np.ndarray:
        """Log probabilities float (test rows, classes) by a head fitted on the synthetic rows."""
        return fit_scores("lda", SHRINKAGE, self.made, self.labels, 0)(self.test)


@dataclass(frozen=True)
class Adapted:
    """A generator's part in a cell.

    Attributes:
        alone: test predictions int (rows,) of a head on its rows.
        beside: the same, mixed with the best plain classifier.
        weight: of that head in the mixture, as chosen.
        transfer: as fitted.
        rows: made, with the test rows.
    """

    alone: np.ndarray
    beside: np.ndarray
    weight: float
    transfer: Transfer
    rows: AdaptedRows


def plain_scores(
    plain: TunedPlain, scores: np.ndarray, train: FeatureTable, development: FeatureTable | None = None
) -> PlainScores:
    """Of the best plain classifier.

    Args:
        plain: tuned on `train`.
        scores: its log probabilities of the test rows, of `TunedPlain.scores`.
        train: training rows.
        development: rows that it was chosen on, where the corpus has some.
    """
    assert plain.best.inner_scores is not None
    inner = tempered(plain.best.inner_scores, plain.best.temperature)
    if development is not None:
        return PlainScores(scores, inner, development.labels, None)
    held = np.concatenate([held for _, held in inner_folds(train)])
    return PlainScores(scores, inner, train.labels[held], held)


def run_adapted(
    generator: MiseGenerator,
    train: FeatureTable,
    test: FeatureTable,
    plain: PlainScores,
    *,
    seed: int,
    development: FeatureTable | None = None,
) -> Adapted:
    """Adapt a generator to the training rows and test what it makes.

    Args:
        generator: of another corpus, or of these very rows; such a one knows no more than the plain classifier and
            weighs at most as much.
        train: training rows of the target.
        test: rows of other speakers.
        plain: the classifier to stand beside.
        seed: of every draw.
        development: where `plain` has its inner rows from, if not from `train`.

    Raises:
        ValueError: for development rows with a `plain` that was not chosen on such, or none with one that was.
    """
    if (plain.held is None) != (development is not None):
        inside = "development rows" if plain.held is None else "rows of inner folds"
        raise ValueError(f"plain was chosen on {inside} and development is {development is not None}; wanted the same")
    transfer = fit_transfer(generator, train, seed=seed)
    rows = adapted_rows(adapt(generator, transfer), test, seed)
    scores = rows.scores()
    if plain.held is None:
        assert development is not None
        inner, labels = transfer.log_posterior(development, generator.config.state_layers), plain.labels
        theirs = plain.inner
    else:
        _, ours, mine = np.intersect1d(transfer.inside.held, plain.held, return_indices=True)
        inner, labels, theirs = transfer.inside.log_posterior[ours], plain.labels[mine], plain.inner[mine]
    weight, temperature = 0.0, 1.0
    if len(labels):
        temperature = balanced_loss(labels, inner)[1]
        offered = tuple(one for one in WEIGHTS if one <= 0.5) if transfer.own else WEIGHTS
        weight = choose_weight(tempered(inner, temperature), theirs, labels, offered)
    mixed = weight * tempered(scores, temperature) + (1 - weight) * plain.test
    return Adapted(scores.argmax(1), mixed.argmax(1), weight, transfer, rows)


def choose_weight(made: np.ndarray, plain: np.ndarray, labels: np.ndarray, offered: tuple[float, ...]) -> float:
    """The weight of the first of two log probabilities float (rows, classes) with the least class-balanced loss."""
    return min(offered, key=lambda weight: balanced_loss(labels, weight * made + (1 - weight) * plain)[0])


def adapted_rows(adapted: MiseGenerator, test: FeatureTable, seed: int) -> AdaptedRows:
    """Rows of an adapted generator, as many of each emotion, and the test rows in its space."""
    labels = np.repeat(np.arange(adapted.config.num_labels), ROWS_OF_A_CLASS)
    made = adapted.generate(torch.from_numpy(labels), generator=torch.Generator().manual_seed(seed)).features.numpy()
    states = torch.from_numpy(test.layer(adapted.config.state_layers))
    return AdaptedRows(made, labels, adapted.space.project(states).numpy())


def measure_adapted(rows: AdaptedRows, test: FeatureTable, seed: int) -> dict[str, float]:
    """Carried information and I(c; h) of an adapted generator's rows, nats."""
    some = np.concatenate(
        [np.flatnonzero(rows.labels == label)[:MEASURED_ROWS_OF_A_CLASS] for label in np.unique(rows.labels)]
    )
    made, labels = rows.made[some], rows.labels[some]
    carried = carried_information(made, labels, rows.test, test.labels, test.speakers, seed=seed)
    return {"carried_information": carried.raw, "label_information": label_information(labels, made, seed=seed).raw}
