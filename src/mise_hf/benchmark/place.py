"""Where an augmentation works: training rows in the space of a head, and what several recipes train on them once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mise_hf.benchmark.plain import COMPONENTS, project
from mise_hf.features import FeatureTable
from mise_hf.models.modeling_mise_aligner import MiseAligner
from mise_hf.training.aligner import train_aligner
from mise_hf.training.arguments import AlignerArguments
from mise_hf.training.rows import TrainingRows, rows_in_aligned_space, rows_in_encoder_space

# Wanted emotions int (rows,) and a seed -> synthetic rows float32 (rows, dim) of a place.
Draw = Callable[[np.ndarray, int], np.ndarray]


@dataclass
class Place:
    """Training rows in a space, and other rows in the same.

    Attributes:
        table: the training rows.
        rows: the same in the space.
        held: float32 (rows', dim): the rows to classify.
        aligner: of the aligned space; None in the encoder space.
        licence: of the corpus.
        seed: of every training.
        steps: optimiser steps of each generator.
        trained: by name, see `once`.
    """

    table: FeatureTable
    rows: TrainingRows
    held: np.ndarray
    aligner: MiseAligner | None
    licence: str
    seed: int
    steps: int
    trained: dict[str, Any] = field(default_factory=dict)

    @property
    def features(self) -> np.ndarray:
        """Training rows, float32 (rows, dim)."""
        return self.rows.features.numpy()

    def once(self, name: str, train: Callable[[], Any]) -> Any:
        """What `train` returned when it was first asked for under this name."""
        if name not in self.trained:
            self.trained[name] = train()
        return self.trained[name]


Recipe = Callable[[Place], Draw]


def encoder_place(
    train: FeatureTable, held: FeatureTable, layers: tuple[int, ...], *, licence: str, seed: int, steps: int
) -> Place:
    """The space of the plain classifiers, fitted on the training rows."""
    rows = rows_in_encoder_space(train, layers, COMPONENTS)
    return Place(train, rows, project(rows, held.layer(layers)), None, licence, seed, steps)


def aligned_place(
    train: FeatureTable, held: FeatureTable, *, licence: str, seed: int, steps: int, aligner_steps: int
) -> Place:
    """The space of an aligner trained on the training rows, with text where they have any."""
    aligner = train_aligner(train, AlignerArguments(seed=seed, licence=licence, steps=aligner_steps))
    text = train.text_states is not None
    rows = rows_in_aligned_space(train, aligner, text=text)
    return Place(
        train, rows, rows_in_aligned_space(held, aligner, text).features.numpy(), aligner, licence, seed, steps
    )
