"""Which rows a training step sees: every draw is a function of (seed, step), so a resumed run repeats it."""

import torch
from torch import Tensor


def step_generator(seed: int, step: int) -> torch.Generator:
    """The source of every random draw of one step; the same on all processes."""
    # Golden-ratio mixing keeps the streams of neighbouring steps and seeds apart.
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % (1 << 63)
    return torch.Generator().manual_seed(mixed)


class BalancedSampler:
    """Draws labels uniformly and, for each, a training row of that class, with replacement."""

    def __init__(self, labels: Tensor, num_labels: int):
        counts = torch.bincount(labels, minlength=num_labels)
        if (counts == 0).any():
            raise ValueError(
                f"classes {(counts == 0).nonzero().flatten().tolist()} have no training row; wanted at least one each"
            )
        self.counts = counts
        self.rows = torch.zeros(num_labels, int(counts.max()), dtype=torch.int64)
        for label in range(num_labels):
            self.rows[label, : counts[label]] = (labels == label).nonzero().flatten()

    def draw(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`size` labels, int64 (size,), and a row number for each, int64 (size,)."""
        labels = torch.randint(len(self.counts), (size,), generator=generator)
        place = torch.rand(size, generator=generator, dtype=torch.float64) * self.counts[labels]
        return labels, self.rows[labels, place.long()]
