"""One cell of the transfer question: what do generators of another corpus, or its features, add to a few target rows?

Methods: the best plain classifier of the target's rows alone; each generator adapted to the rows (`mise_hf.transfer`),
its head fitted on what the adapted checkpoint makes, alone and beside the best plain classifier; and controls with the
other corpus's features at hand: those features, or draws from their class means and shared covariance, beside the
target's rows. All is chosen inside.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch

from mise_hf.benchmark.adapted import WITH_PLAIN, measure_adapted, plain_scores, run_adapted
from mise_hf.benchmark.controls import class_gaussian
from mise_hf.benchmark.folds import require_apart, require_unseen_speakers, speaker_folds
from mise_hf.benchmark.mixed_lda import class_statistics, mixed_lda
from mise_hf.benchmark.plain import BEST, MEAN, tune_plain
from mise_hf.features import FeatureTable
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.transfer.choice import balanced_loss

REAL, GAUSSIAN = "source's real features", "source's Gaussian"
INNER_FOLDS = 4
# Target rows repeated against the source's; whether they are standardised on themselves; shrinkage of the LDA.
SETTINGS = tuple(product((False, True), (1, 4, 16), (0.2, 0.5, 0.8)))


@dataclass(frozen=True)
class ForeignRows:
    """Rows of another corpus in a generator's space.

    Attributes:
        name: of the method that uses them.
        features: float (rows, dim).
        emotions: str (rows,).
        generator: whose space they lie in.
    """

    name: str
    features: np.ndarray
    emotions: np.ndarray
    generator: MiseGenerator


@dataclass
class ForeignResult:
    """Test predictions by method, what was chosen, and measures of each adapted generator's rows (nats)."""

    predictions: dict[str, np.ndarray] = field(default_factory=dict)
    choices: dict[str, list] = field(default_factory=dict)
    measures: dict[str, dict[str, float]] = field(default_factory=dict)


def foreign_rows(source: FeatureTable, generator: MiseGenerator, count: int, seed: int) -> list[ForeignRows]:
    """The controls: the other corpus's own rows, and `count` draws a class from their Gaussian."""
    states = torch.from_numpy(source.layer(generator.config.state_layers))
    features = generator.space.project(states).numpy()
    names = np.array(source.label_names)
    wanted = np.repeat(np.arange(len(names)), count)
    drawn = class_gaussian(features, source.labels, wanted, seed)
    return [
        ForeignRows(REAL, features, names[source.labels], generator),
        ForeignRows(GAUSSIAN, drawn, names[wanted], generator),
    ]


def run_foreign_cell(
    train: FeatureTable,
    test: FeatureTable,
    generators: dict[str, MiseGenerator],
    controls: Sequence[ForeignRows],
    *,
    seed: int,
    measure: bool = True,
    development: FeatureTable | None = None,
) -> ForeignResult:
    """Train and test every method.

    Args:
        train: the target's few rows.
        test: rows of other speakers.
        generators: of other corpora or sites, by the name of the method.
        controls: see `foreign_rows`.
        seed: of every draw.
        measure: take I(c; h) and carried information of the adapted generators' rows.
        development: rows of the corpus's own split that the plain classifier, and an adapted generator's weight beside
            it, are chosen on.

    Raises:
        ValueError: where training, or a generator, has seen a speaker or clip of test or development.
    """
    require_apart(train, test, development)
    for generator in [*generators.values(), *(control.generator for control in controls)]:
        for held in [test] if development is None else [test, development]:
            require_unseen_speakers(generator.config.training_corpora, held)
    result = ForeignResult()
    plain = tune_plain(train, seed, development)
    scores = plain.scores(test, seed)
    named = plain.named(scores)
    result.predictions |= {name: named[name] for name in (BEST, MEAN)}
    result.choices[BEST] = [list(plain.layers), plain.best.family, plain.best.setting]
    beside = plain_scores(plain, scores[plain.best.family], train, development)
    for name, generator in generators.items():
        found = run_adapted(generator, train, test, beside, seed=seed, development=development)
        result.predictions |= {name: found.alone, name + WITH_PLAIN: found.beside}
        settings = found.transfer.settings
        result.choices[name] = [settings.trust, settings.source_share, settings.shrinkage, found.weight]
        if measure:
            result.measures[name] = measure_adapted(found.rows, test, seed)
    for control in controls:
        best = _choose(control, train)
        result.choices[control.name] = list(best)
        result.predictions[control.name] = _beside(control, train, test, best[0], [best])[0].argmax(1)
    return result


def _choose(control: ForeignRows, train: FeatureTable) -> tuple[bool, int, float]:
    """The setting with the least inner loss."""
    count = min(INNER_FOLDS, len(set(train.speakers)))
    held_out = [(train.select(fit), train.select(held)) for fit, held in speaker_folds(train.speakers, count)]
    truth = np.concatenate([held.labels for _, held in held_out])
    found: dict[tuple[bool, int, float], list[np.ndarray]] = {setting: [] for setting in SETTINGS}
    for fit, held in held_out:
        for own in (False, True):
            wanted = [setting for setting in SETTINGS if setting[0] == own]
            for setting, scores in zip(wanted, _beside(control, fit, held, own, wanted), strict=True):
                found[setting].append(scores)
    losses = {setting: balanced_loss(truth, np.concatenate(scores))[0] for setting, scores in found.items()}
    return min(SETTINGS, key=lambda setting: losses[setting])


def _beside(
    control: ForeignRows,
    train: FeatureTable,
    test: FeatureTable,
    own: bool,
    settings: Sequence[tuple[bool, int, float]],
) -> list[np.ndarray]:
    """LDA on the target's rows and those foreign rows whose emotion the target has.

    Returns:
        For each setting log probabilities, up to a constant a row: float (test rows, classes).
    """
    layers, names = control.generator.config.state_layers, list(train.label_names)
    states, test_states = torch.from_numpy(train.layer(layers)), torch.from_numpy(test.layer(layers))
    space = copy.deepcopy(control.generator.space).adopt(states) if own else control.generator.space
    mine, theirs = space.project(states).numpy(), space.project(test_states).numpy()
    known = np.isin(control.emotions, names)
    labels = np.array([names.index(name) for name in control.emotions[known]], dtype=np.int64)
    own_rows = class_statistics(mine, train.labels, len(names))
    foreign = class_statistics(control.features[known], labels, len(names))
    out = []
    for _, repeat, shrinkage in settings:
        weights, offsets = mixed_lda(own_rows, foreign, repeat, shrinkage)
        out.append(theirs @ weights.T + offsets)
    return out
