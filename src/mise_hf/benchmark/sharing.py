"""Share the generator, not the speech: site A hands over a checkpoint, site B trains on few clips and what it makes."""

import numpy as np
import torch

from mise_hf.benchmark.foreign import GAUSSIAN, REAL, ForeignRows, foreign_rows, run_foreign_cell
from mise_hf.benchmark.plain import BEST
from mise_hf.features import FeatureTable
from mise_hf.features.provenance import training_corpora
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.generator import make_generator, train_generator
from mise_hf.training.rows import rows_in_encoder_space

# A generator that is to be shared has all layers side by side, since the taker's best is not known, and tells speakers
# apart, so that the taker learns how far people disagree.
FEATURE_SIZE, SPEAKER_NOISE = 256, 64
ROWS_OF_A_CLASS = 200
ALONE, ADAPTED, BESIDE, SITE_GAUSSIAN, SITE_REAL = (
    "B alone (best plain)",
    "B + MISE of A",
    "B + MISE of A, not adapted",
    "B + Gaussian of A",
    "B + real features of A",
)
NAMES = {BEST: ALONE, GAUSSIAN: SITE_GAUSSIAN, REAL: SITE_REAL}


def shared_arguments(layers: tuple[int, ...], *, seed: int, steps: int, mi_weight: float = 0.1) -> GeneratorArguments:
    """Arguments of a generator that is to be shared."""
    return GeneratorArguments(
        steps=steps,
        layers=list(layers),
        feature_size=FEATURE_SIZE,
        speaker_noise_size=SPEAKER_NOISE,
        mi_weight=mi_weight,
        seed=seed,
    )


def train_shared(table: FeatureTable, arguments: GeneratorArguments, *, licence: str) -> MiseGenerator:
    """A generator of all rows of a corpus or site, to be shared."""
    return train_generator(
        rows_in_encoder_space(table, arguments.layers, arguments.feature_size),
        arguments,
        label_names=table.label_names,
        fingerprint=table.fingerprint,
        corpora=training_corpora(table, licence),
    )


def start_shared(table: FeatureTable, arguments: GeneratorArguments, *, licence: str) -> MiseGenerator:
    """What such a generator starts from, untrained: class means, speakers and a shared covariance, all Gaussian."""
    rows = rows_in_encoder_space(table, arguments.layers, arguments.feature_size)
    start = make_generator(
        rows,
        arguments,
        label_names=table.label_names,
        fingerprint=table.fingerprint,
        corpora=training_corpora(table, licence),
    )
    return start.start_from(rows.features, rows.labels, rows.speakers).eval()


def train_site(site: FeatureTable, *, licence: str, seed: int, steps: int) -> tuple[MiseGenerator, list[ForeignRows]]:
    """A's generator, and the rows that B may get in other ways: its draws, A's Gaussian, A's real features."""
    generator = train_shared(site, shared_arguments(site.audio_layers, seed=seed, steps=steps), licence=licence)
    labels = np.repeat(np.arange(len(site.label_names)), ROWS_OF_A_CLASS)
    made = generator.generate(torch.from_numpy(labels), generator=torch.Generator().manual_seed(seed)).features
    drawn = ForeignRows(BESIDE, made.numpy(), np.array(site.label_names)[labels], generator)
    return generator, [drawn, *foreign_rows(site, generator, ROWS_OF_A_CLASS, seed)]


def run_sharing_cell(
    train: FeatureTable, test: FeatureTable, generator: MiseGenerator, rows: list[ForeignRows], seed: int
) -> dict[str, np.ndarray]:
    """Test predictions of B alone and of B with each thing that A may share, by method; errors as `run_foreign_cell`.

    Args:
        train: B's few rows.
        test: rows of a speaker of B that is in neither.
        generator, rows: from `train_site`.
        seed: of every draw.
    """
    found = run_foreign_cell(train, test, {ADAPTED: generator}, rows, seed=seed, measure=False).predictions
    return {NAMES.get(name, name): found[name] for name in (BEST, ADAPTED, *(shared.name for shared in rows))}
