"""What several processes need beyond accelerate: batches gathered with their gradient, and averaged gradients."""

from collections.abc import Iterable

import torch
import torch.distributed.nn.functional as distributed
from accelerate import Accelerator
from torch import Tensor, nn


def gather_with_gradient(rows: Tensor, accelerator: Accelerator) -> Tensor:
    """(batch, ...) of every process -> (processes * batch, ...), differentiable (accelerate's own gather is not)."""
    if accelerator.num_processes == 1:
        return rows
    return torch.cat(distributed.all_gather(rows.contiguous()))


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter], accelerator: Accelerator) -> None:
    """Replace each gradient by its mean over the processes.

    Used in place of DistributedDataParallel, which does not support the gradient penalties' second derivative.
    """
    if accelerator.num_processes == 1:
        return
    present = [parameter for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([parameter.grad.flatten() for parameter in present])
    torch.distributed.all_reduce(flat)
    flat /= accelerator.num_processes
    offset = 0
    for parameter in present:
        size = parameter.numel()
        parameter.grad.copy_(flat[offset : offset + size].view_as(parameter.grad))
        offset += size
