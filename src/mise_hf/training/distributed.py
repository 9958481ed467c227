"""What several processes need beyond accelerate: gathers with gradients, averaged gradients, common metrics and stops.

DistributedDataParallel is not used: it does not support the second derivative of the gradient penalties. Every process
holds the same weights, computes gradients on its part of the batch, and takes the same step on their mean.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed.nn.functional as distributed
from accelerate import Accelerator
from accelerate.utils import broadcast, broadcast_object_list
from torch import Tensor, nn


def gather_with_gradient(rows: Tensor, accelerator: Accelerator) -> Tensor:
    """(batch, ...) of every process -> (processes * batch, ...), differentiable (accelerate's own gather is not)."""
    if accelerator.num_processes == 1:
        return rows
    return torch.cat(distributed.all_gather(rows.contiguous()))


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter], accelerator: Accelerator) -> None:
    """Replace each gradient by its mean over the processes."""
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


@torch.no_grad()
def reduce_metrics(metrics: Mapping[str, Tensor], accelerator: Accelerator) -> dict[str, float]:
    """Scalars of this process -> their means over the processes, with one transfer from the device."""
    values = torch.stack([value.detach().float() for value in metrics.values()])
    if accelerator.num_processes > 1:
        torch.distributed.all_reduce(values)
        values /= accelerator.num_processes
    return dict(zip(metrics, values.tolist(), strict=True))


def from_main(value: Any, accelerator: Accelerator) -> Any:
    """The main process's value, on every process."""
    return broadcast_object_list([value])[0] if accelerator.num_processes > 1 else value


def highest(number: int, accelerator: Accelerator) -> int:
    """The highest of the processes' numbers."""
    if accelerator.num_processes == 1:
        return number
    value = torch.tensor(number, device=accelerator.device)
    torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MAX)
    return int(value)


@torch.no_grad()
def share_weights(modules: Iterable[nn.Module], accelerator: Accelerator) -> None:
    """Give every process the main one's weights and buffers: another machine may have rounded its start differently."""
    if accelerator.num_processes == 1:
        return
    for module in modules:
        for value in module.state_dict().values():
            value.copy_(broadcast(value))
