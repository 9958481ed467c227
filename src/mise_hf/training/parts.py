"""A global batch cut into parts of processes and micro-batches, with dropout masks that do not depend on the cut."""

from collections.abc import Iterator

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F


class BatchParts:
    """Rows of a global batch that this process takes, as one slice for each micro-batch.

    Args:
        size: rows of the global batch.
        accelerator: which process this is, of how many.
        micro_batches: parts that this process takes one after another, adding up gradients.

    Raises:
        ValueError: for a batch that does not divide evenly: uneven parts would weigh rows differently.
    """

    def __init__(self, size: int, accelerator: Accelerator, micro_batches: int = 1):
        world = accelerator.num_processes
        if size % (world * micro_batches):
            raise ValueError(
                f"batch_size is {size}; wanted a multiple of {world * micro_batches} ({world} processes, "
                f"{micro_batches} micro-batches each)"
            )
        rows = size // (world * micro_batches)
        first = accelerator.process_index * micro_batches
        self.size = size
        self.slices = [slice(rows * i, rows * (i + 1)) for i in range(first, first + micro_batches)]
        self.current = self.slices[0]

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[slice]:
        for part in self.slices:
            self.current = part
            yield part

    @property
    def mine(self) -> slice:
        """All rows of this process."""
        return slice(self.slices[0].start, self.slices[-1].stop)


class PartDropout(nn.Dropout):
    """Dropout whose mask is drawn for the global batch and cut: however a batch is cut, each row has the same mask.

    All processes, and all micro-batches, must enter a forward pass with the same state of the global random source.
    """

    def __init__(self, p: float, parts: BatchParts):
        super().__init__(p)
        self.parts = parts

    def forward(self, input: Tensor) -> Tensor:
        """(rows of the current part, ...) -> the same shape; on any other number of rows, plain dropout."""
        part = self.parts.current
        whole = len(input) == self.parts.size
        if not self.training or not self.p or whole or len(input) != part.stop - part.start:
            return super().forward(input)
        return input * F.dropout(input.new_ones(self.parts.size, *input.shape[1:]), self.p)[part]


def use_part_dropout(module: nn.Module, parts: BatchParts) -> None:
    """Replace every `nn.Dropout` below `module` by one with common masks."""
    for name, child in module.named_children():
        if isinstance(child, nn.Dropout):
            setattr(module, name, PartDropout(child.p, parts).train(child.training))
        else:
            use_part_dropout(child, parts)


def seed_dropout(rng: torch.Generator) -> int:
    """A seed for the global random source, which dropout draws from, taken from the step's own source."""
    return int(torch.randint(2**62, (1,), generator=rng))


def set_dropout_seed(seed: int, device: torch.device) -> None:
    """Set the global random source that dropout draws from."""
    if device.type == "cpu":
        # `torch.manual_seed` also notes the caller's stack, for devices still to come: a third of a small head's step.
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
