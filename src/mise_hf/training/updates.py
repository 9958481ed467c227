"""One optimiser step: gradients of micro-batches added up, averaged over the processes, clipped."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mise_hf.training.arguments import RunArguments
from mise_hf.training.distributed import average_gradients


class Updates:
    """Takes optimiser steps in the way that the run's arguments say."""

    def __init__(self, arguments: RunArguments, accelerator: Accelerator):
        self.micro_batches = arguments.micro_batches
        self.max_norm = arguments.max_grad_norm
        self.bf16 = arguments.mixed_precision == "bf16"
        self.accelerator = accelerator

    def autocast(self) -> AbstractContextManager:
        """bfloat16 for the products inside, where the arguments ask for it."""
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.bf16)

    def take(
        self, optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], losses: Iterable[Tensor]
    ) -> None:
        """Step on the mean of `losses`, one scalar for each micro-batch, made one by one; only `parameters` get
        gradients."""
        optimizer.zero_grad(set_to_none=True)
        for loss in losses:
            (loss / self.micro_batches).backward(inputs=parameters)
        average_gradients(parameters, self.accelerator)
        if self.max_norm:
            torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)
        optimizer.step()


def trainable(*modules: nn.Module) -> list[nn.Parameter]:
    """Parameters that gradients may reach."""
    return [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]


class MeanMetrics:
    """Metrics of a step's micro-batches, as tensors until all of them are there."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Tensor]] = {}

    def add(self, name: str, value: Tensor) -> None:
        """One micro-batch's scalar."""
        self.seen.setdefault(name, []).append(value.detach())

    def means(self) -> dict[str, Tensor]:
        """Each metric's mean over the micro-batches."""
        return {
            name: values[0] if len(values) == 1 else torch.stack(values).mean() for name, values in self.seen.items()
        }
