"""Where a generator's real rows come from: a table in memory, or a stream of shards. Both give batches by number."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.training.rows import TrainingRows
from mise_hf.training.sampling import BalancedSampler

PROBE_ROWS = 256


@dataclass(frozen=True)
class RealRows:
    """Real rows: target (rows, dim), labels int64 (rows,), text (rows, text size) or None."""

    target: Tensor
    labels: Tensor
    text: Tensor | None

    def take(self, rows: Tensor | slice) -> "RealRows":
        """Those rows."""
        return RealRows(self.target[rows], self.labels[rows], None if self.text is None else self.text[rows])


class Source(Protocol):
    """Real rows for a generator's training, and what is known of all of them.

    Attributes:
        unit: standard deviation of all numbers of all rows, scalar.
        scale: standard deviation of each dimension, (dim,).
        prior: probability of each label in a batch, (labels,).
        probe: some rows, the same on every process.
    """

    unit: Tensor
    scale: Tensor
    prior: Tensor
    probe: RealRows

    def start(self, generator: MiseGenerator) -> None:
        """Set a generator's class means and noise to those of the rows."""

    def batch(self, number: int, rng: torch.Generator) -> Callable[[slice], RealRows]:
        """Batch `number`, drawn from `rng`: a function that gives the rows of a part of this process."""


class TableSource:
    """Rows in memory: labels drawn uniformly, a row for each, with replacement.

    Args:
        rows: features, labels, and text where asked for.
        batch_size: rows of a batch, over all processes.
        paired: the target is features and text behind each other.
        text: give the text too.
        num_labels: of the generator.
    """

    def __init__(self, rows: TrainingRows, *, batch_size: int, paired: bool, text: bool, num_labels: int):
        target = torch.cat([rows.features, rows.text], dim=1) if paired else rows.features
        self.rows = RealRows(target, rows.labels, rows.text if text else None)
        self.speakers, self.batch_size = rows.speakers, batch_size
        self.sampler = BalancedSampler(rows.labels, num_labels)
        self.unit, self.scale = target.std(), target.std(0)
        self.prior = torch.full((num_labels,), 1 / num_labels)
        self.probe = self.rows.take(torch.linspace(0, len(target) - 1, min(PROBE_ROWS, len(target))).long())

    def start(self, generator: MiseGenerator) -> None:
        """As in `Source`."""
        generator.start_from(self.rows.target, self.rows.labels, self.speakers)

    def batch(self, number: int, rng: torch.Generator) -> Callable[[slice], RealRows]:
        """As in `Source`; the number does not matter."""
        chosen = self.sampler.draw(self.batch_size, rng)[1]
        return lambda part: self.rows.take(chosen[part])
