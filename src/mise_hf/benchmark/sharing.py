"""Share the generator, not the speech: site A hands over a checkpoint, site B trains on few clips and what it makes.

Everything that is chosen at site B (shrinkage, weight of its own rows, whose mean and scale standardise) is chosen by
leaving out one of B's training speakers at a time, for every method alike.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from mise_hf.benchmark.controls import class_gaussian
from mise_hf.benchmark.folds import require_unseen, require_unseen_speakers, speaker_folds
from mise_hf.benchmark.plain import BEST, choose_layer, fit_lda, tune_plain
from mise_hf.benchmark.statistics import unweighted_average_recall
from mise_hf.features import FeatureTable
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.generator import train_generator
from mise_hf.training.rows import rows_in_encoder_space, training_corpora

SHRINKAGES = (0.2, 0.5, 0.8)
REPEATS = (1, 4, 16)
ROWS_OF_A_CLASS = 300
ALONE, GAUSSIAN, GENERATOR, REAL = (
    "B alone (best plain)",
    "B + Gaussian of A",
    "B + MISE of A",
    "B + real features of A",
)


@dataclass(frozen=True)
class Source:
    """What site A hands over: rows in its encoder space, and the checkpoint that holds the space."""

    name: str
    features: np.ndarray
    labels: np.ndarray


def train_site(site: FeatureTable, *, licence: str, seed: int, steps: int) -> tuple[MiseGenerator, list[Source]]:
    """A's generator in the encoder space, and the three sources that B may get: Gaussian, generator, real features."""
    layer = choose_layer(site)
    arguments = GeneratorArguments(steps=steps, layer=layer, seed=seed)
    rows = rows_in_encoder_space(site, layer, arguments.feature_size)
    generator = train_generator(
        rows,
        arguments,
        label_names=site.label_names,
        fingerprint=site.fingerprint,
        corpora=training_corpora(site, licence),
    )
    real = rows.features.numpy()
    wanted = np.repeat(np.arange(len(site.label_names)), ROWS_OF_A_CLASS)
    made = generator.generate(torch.from_numpy(wanted), generator=torch.Generator().manual_seed(seed)).features
    return generator, [
        Source(GAUSSIAN, class_gaussian(real, site.labels, wanted, seed), wanted),
        Source(GENERATOR, made.numpy(), wanted),
        Source(REAL, real, site.labels),
    ]


def run_sharing_cell(
    train: FeatureTable, test: FeatureTable, generator: MiseGenerator, sources: list[Source], seed: int
) -> dict[str, np.ndarray]:
    """Test predictions of B alone and of B with each source, by method.

    Args:
        train: B's few rows.
        test: rows of a speaker of B that is in neither.
        generator: A's checkpoint.
        sources: from `train_site`.
        seed: of every draw.

    Raises:
        ValueError: where training, or A, has seen a test speaker or clip.
    """
    require_unseen(train, test)
    require_unseen_speakers(generator.config.training_corpora, test)
    predictions = {ALONE: tune_plain(train, seed).predict(test, seed)[BEST]}
    layer = generator.config.state_layer
    held_out = [(train.select(fit), train.select(held)) for fit, held in _leave_one_out(train)]
    for source in sources:
        settings = [(own, repeat, shrinkage) for own in (False, True) for repeat in REPEATS for shrinkage in SHRINKAGES]
        scores = {}
        for setting in settings:
            found = [_predict(fit, held, generator, layer, source, *setting) for fit, held in held_out]
            truth = np.concatenate([held.labels for _, held in held_out])
            scores[setting] = unweighted_average_recall(truth, np.concatenate(found))
        best = max(settings, key=lambda setting: scores[setting])
        predictions[source.name] = _predict(train, test, generator, layer, source, *best)
    return predictions


def _leave_one_out(table: FeatureTable) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield from speaker_folds(table.speakers, len(set(table.speakers)))


def _predict(
    train: FeatureTable,
    test: FeatureTable,
    generator: MiseGenerator,
    layer: int,
    source: Source,
    own: bool,
    repeat: int,
    shrinkage: float,
) -> np.ndarray:
    """LDA on B's rows, `repeat` times over, and A's; with `own`, B's rows are standardised on themselves."""
    states, test_states = torch.from_numpy(train.layer(layer)), torch.from_numpy(test.layer(layer))
    space = copy.deepcopy(generator.space).adopt(states) if own else generator.space
    mine, theirs = space.project(states).numpy(), space.project(test_states).numpy()
    features = np.concatenate([np.repeat(mine, repeat, axis=0), source.features])
    labels = np.concatenate([np.repeat(train.labels, repeat), source.labels])
    return fit_lda(features, labels, shrinkage)(theirs)
