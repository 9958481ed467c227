"""One cell of the in-corpus question: on these training speakers, does any augmentation beat the best plain classifier?

Rows of the table: three plain classifiers tuned inside, four controls, the label-only GAN, and MISE in both spaces.
Augmented rows use the plain classifier that was chosen inside, with its setting, and as many synthetic rows as real
ones, uniform over the emotions. The aligned space is another space and has a classifier of its own, LDA at a fixed
shrinkage, so MISE is to be held against "aligned space, no augmentation" too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mise_hf.benchmark.controls import CONTROLS
from mise_hf.benchmark.folds import require_unseen
from mise_hf.benchmark.measures import (
    SyntheticMeasures,
    mean_carried,
    measure_memorisation,
    measure_real,
    measure_synthetic,
)
from mise_hf.benchmark.plain import Choice, TunedPlain, fit_plain, project, tune_plain
from mise_hf.features import FeatureTable
from mise_hf.features.provenance import training_corpora
from mise_hf.models.modeling_mise_aligner import MiseAligner
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.training.aligner import train_aligner
from mise_hf.training.arguments import AlignerArguments, GeneratorArguments
from mise_hf.training.generator import make_generator, train_generator
from mise_hf.training.rows import TrainingRows, aligned_fingerprint, rows_in_aligned_space, rows_in_encoder_space

# The paper's chain is MISE: aligner, then a generator of its audio_embeds conditioned on its text_embeds.
LABEL_ONLY, MISE, MISE_ENCODER = "label-only GAN", "MISE", "MISE in the encoder space"
REAL, REAL_ENCODER = "real rows", "real rows in the encoder space"
ALIGNED_PLAIN = "aligned space, no augmentation"
# Shrinkage of the LDA in the aligned space, where tuning would need an aligner for each inner fold.
ALIGNED_SHRINKAGE = 0.5


@dataclass
class CellResult:
    """What a cell leaves: test predictions by method, measures by method, choices, training curves, models."""

    predictions: dict[str, np.ndarray] = field(default_factory=dict)
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    choices: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    aligner: MiseAligner | None = None
    generator: MiseGenerator | None = None
    plain: TunedPlain | None = None
    projection: dict[str, Any] = field(default_factory=dict)


def run_cell(
    train: FeatureTable,
    test: FeatureTable,
    *,
    licence: str,
    withheld: FeatureTable | None = None,
    seed: int,
    steps: int,
    information: bool = True,
) -> CellResult:
    """Train and test every method.

    Args:
        train: rows of the training speakers; every class at least twice.
        test: rows of other speakers.
        licence: of the corpus, recorded in the checkpoints.
        withheld: rows of the training speakers that are not in `train`, the reference for memorisation. None where
            there are none: the cell of the checkpoint, whose mutual informations are estimated too.
        seed: of every draw.
        steps: optimiser steps of each generator.
        information: estimate mutual informations in the cell of the checkpoint.

    Raises:
        ValueError: where training has seen a test speaker or clip.
    """
    require_unseen(train, test)
    result = CellResult()
    plain = tune_plain(train, seed)
    best, layers = plain.best, plain.layers
    rows, labels = plain.rows, train.labels
    features, test_features = rows.features.numpy(), project(rows, test.layer(layers))
    result.predictions = plain.predict(test, seed)
    result.plain = plain
    result.choices = {
        "layers": list(layers),
        "family": best.family,
        "setting": best.setting,
        "inner_uar": best.inner_uar,
    }
    wanted = np.arange(len(labels)) % len(train.label_names)
    for name, control in CONTROLS.items():
        made = control(features, labels, wanted, seed).astype(np.float32)
        result.predictions[name] = _augmented(best, features, labels, made, wanted, test_features, seed)
    _generators(result, train, test, withheld, plain, test_features, wanted, licence, seed, steps)
    _aligned(result, train, test, withheld, wanted, licence, seed, steps, information and withheld is None)
    return result


def _augmented(
    best: Choice,
    features: np.ndarray,
    labels: np.ndarray,
    made: np.ndarray,
    wanted: np.ndarray,
    test_features: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Test predictions of the chosen plain classifier fitted on real and synthetic rows."""
    predict = fit_plain(
        best.family, best.setting, np.concatenate([features, made]), np.concatenate([labels, wanted]), seed
    )
    return predict(test_features)


def _generators(
    result: CellResult,
    train: FeatureTable,
    test: FeatureTable,
    withheld: FeatureTable | None,
    plain: TunedPlain,
    test_features: np.ndarray,
    wanted: np.ndarray,
    licence: str,
    seed: int,
    steps: int,
) -> None:
    """The label-only GAN and MISE in the encoder space; their rows are lifted to states for the plain classifier."""
    layers = plain.layers
    arguments = GeneratorArguments(steps=steps, layers=list(layers), seed=seed)
    rows = rows_in_encoder_space(train, layers, arguments.feature_size)
    measures = SyntheticMeasures(
        rows.features.numpy(), train, project(rows, test.layer(layers)), test, seed, information=False
    )
    result.measures[REAL_ENCODER] = measure_real(measures)
    for name, weight in ((LABEL_ONLY, 0.0), (MISE_ENCODER, arguments.mi_weight)):
        curve: list[dict[str, float]] = []
        generator = train_generator(
            rows,
            GeneratorArguments(steps=steps, layers=list(layers), seed=seed, mi_weight=weight),
            label_names=train.label_names,
            fingerprint=train.fingerprint,
            corpora=training_corpora(train, licence),
            on_step=_recorder(curve),
        )
        made = _draw(generator, wanted, seed)
        # Both spaces standardise by the same rows, so a generated feature passes over through the standardised states.
        lifted = (generator.space.lift(made) @ plain.rows.space.components.t()).numpy()
        result.predictions[name] = _augmented(
            plain.best, plain.rows.features.numpy(), train.labels, lifted, wanted, test_features, seed
        )
        found = measure_synthetic(measures, _drawer(generator, wanted), wanted)
        if withheld is not None:
            reference = project(rows, withheld.layer(layers))
            found["memorisation"] = measure_memorisation(made.numpy(), measures.features, train, reference, withheld)
        result.measures[name] = found
        result.curves[name] = _thinned(curve)


def train_chain(
    train: FeatureTable,
    *,
    licence: str,
    seed: int,
    steps: int,
    curves: dict[str, list[dict[str, float]]] | None = None,
) -> tuple[MiseAligner, MiseGenerator, TrainingRows]:
    """The paper's chain: aligner, generator of its audio_embeds, and those embeddings of the training rows."""
    kept: dict[str, list[dict[str, float]]] = {"aligner": [], MISE: []}
    aligner = train_aligner(train, AlignerArguments(seed=seed, licence=licence), on_step=_recorder(kept["aligner"]))
    with_text = train.text_states is not None
    rows = rows_in_aligned_space(train, aligner, text=with_text)
    generator = train_generator(
        rows,
        GeneratorArguments(steps=steps, seed=seed, text=with_text),
        label_names=train.label_names,
        fingerprint=aligned_fingerprint(train.fingerprint, aligner),
        corpora=training_corpora(train, licence),
        on_step=_recorder(kept[MISE]),
    )
    if curves is not None:
        curves |= {name: _thinned(curve) for name, curve in kept.items()}
    return aligner, generator, rows


def _recorder(curve: list[dict[str, float]]) -> Callable[[int, dict[str, float]], None]:
    return lambda step, metrics: curve.append({"step": step, **metrics})


def _drawer(
    generator: MiseGenerator, wanted: np.ndarray, rows: TrainingRows | None = None
) -> Callable[[int], np.ndarray]:
    """Seed -> synthetic rows float (rows, dim) of the wanted emotions."""
    return lambda seed: _draw(generator, wanted, seed, rows).numpy()


def _thinned(curve: list[dict[str, float]]) -> list[dict[str, float]]:
    return curve[:: max(1, len(curve) // 100)]


def memorisation_of_recipe(train: FeatureTable, *, licence: str, seed: int, steps: int) -> dict[str, Any]:
    """Memorisation of a chain made like the one of all of `train`, but from three quarters of its rows.

    A generator trained on every row leaves none of its speakers' rows to hold its own against.
    """
    kept = np.sort(np.random.default_rng(seed).permutation(len(train))[: 3 * len(train) // 4])
    part, withheld = train.select(kept), train.select(np.setdiff1d(np.arange(len(train)), kept))
    aligner, generator, rows = train_chain(part, licence=licence, seed=seed, steps=steps)
    made = _draw(generator, np.arange(len(part)) % len(part.label_names), seed, rows).numpy()
    reference = rows_in_aligned_space(withheld, aligner).features.numpy()
    return measure_memorisation(made, rows.features.numpy(), part, reference, withheld)


def _aligned(
    result: CellResult,
    train: FeatureTable,
    test: FeatureTable,
    withheld: FeatureTable | None,
    wanted: np.ndarray,
    licence: str,
    seed: int,
    steps: int,
    information: bool,
) -> None:
    """MISE as in the paper: its aligner, its generator, and the plain classifier in the aligned space."""
    aligner, generator, rows = train_chain(train, licence=licence, seed=seed, steps=steps, curves=result.curves)
    unseen = rows_in_aligned_space(test, aligner, text=rows.text is not None)
    test_rows, test_text = unseen.features.numpy(), unseen.text
    features = rows.features.numpy()
    head = Choice("lda", ALIGNED_SHRINKAGE)
    result.predictions[ALIGNED_PLAIN] = fit_plain("lda", ALIGNED_SHRINKAGE, features, train.labels, seed)(test_rows)

    draw = _drawer(generator, wanted, rows)
    made = draw(seed)
    result.predictions[MISE] = _augmented(head, features, train.labels, made, wanted, test_rows, seed)
    measures = SyntheticMeasures(features, train, test_rows, test, seed, information=information)
    result.measures[REAL] = measure_real(measures, test_text)
    text = None if rows.text is None else _texts(rows, len(wanted), seed)
    found = measure_synthetic(measures, draw, wanted, text)
    start = make_generator(
        rows, GeneratorArguments(seed=seed, text=rows.text is not None), label_names=train.label_names
    )
    start.start_from(rows.features, rows.labels)
    found["carried_information_before_training"] = mean_carried(measures, _drawer(start, wanted, rows), wanted)
    if withheld is not None:
        reference = rows_in_aligned_space(withheld, aligner).features.numpy()
        found["memorisation"] = measure_memorisation(made, features, train, reference, withheld)
    result.measures[MISE] = found
    result.aligner, result.generator = aligner, generator
    result.projection = {
        "real": features,
        "real_labels": train.labels,
        "real_speakers": train.speakers,
        "synthetic": made,
        "synthetic_labels": wanted,
    }


def _texts(rows: TrainingRows, count: int, seed: int) -> torch.Tensor:
    chosen = torch.randint(len(rows.text), (count,), generator=torch.Generator().manual_seed(seed))
    return rows.text[chosen]


def _draw(generator: MiseGenerator, wanted: np.ndarray, seed: int, rows: TrainingRows | None = None) -> torch.Tensor:
    text = None
    if rows is not None and generator.config.text_size:
        text = _texts(rows, len(wanted), seed)
    source = torch.Generator().manual_seed(seed)
    return generator.generate(torch.from_numpy(wanted), text, generator=source).features
