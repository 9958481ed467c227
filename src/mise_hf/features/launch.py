"""The processes of one launch (`accelerate launch`, `torchrun`, srun): who is which, and waiting for one another."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import torch
from accelerate import PartialState
from torch import distributed

# Ranks whose shards took less time wait for the slowest of a long run.
PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Launch:
    """This process among those that were launched with it.

    Attributes:
        rank: of this process.
        processes: in the launch.
        device: for this process.
        shows: whether this process is the one of its machine that shows progress.
        wait: returns when all processes have called it; None where there is one only. Raises ValueError when another
            process has ended early.
    """

    rank: int
    processes: int
    device: torch.device
    shows: bool
    wait: Callable[[], None] | None


def join_launch() -> Launch:
    """What the launcher's variables say; one process without a launcher."""
    # Without `cpu=True` accelerate takes every process of a machine that has no accelerator for the only one.
    state = PartialState(cpu=not torch.accelerator.is_available())
    wait = _waiting(state.num_processes) if state.num_processes > 1 else None
    return Launch(state.process_index, state.num_processes, state.device, state.is_local_main_process, wait)


def _waiting(processes: int) -> Callable[[], None]:
    # Gloo on every device: it tells at once when another process is gone, where NCCL would hang.
    group = distributed.new_group(backend="gloo", timeout=PATIENCE)
    assert not isinstance(group, int), "this process is in no group of all processes"

    def wait() -> None:
        try:
            distributed.barrier(group=group)
        except RuntimeError as error:
            raise ValueError(
                f"another of the {processes} processes ended early, see its message; wanted all of them to the end: "
                "mend that and give the same command again, which goes on where this run was"
            ) from error

    return wait
