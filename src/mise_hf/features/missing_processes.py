"""What `accelerate launch --num_processes N` leaves out: without several GPUs it starts one process, and says nothing.

Its only sign of that is an address to meet at (`MASTER_ADDR`) without a number of processes (`WORLD_SIZE`); how many
were asked for stands on its command line alone. On a machine of CPUs they are then started here, as torchrun does.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

# What accelerate itself reads the number of processes from.
COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
LAUNCHERS = ("launch", "accelerate-launch", "accelerate.commands.launch", "launch.py")


def start_missing_processes(module: str) -> None:
    """Become a launcher of as many processes as accelerate was asked for, where it started this one only, and say so.

    Returns where nothing is missing, or where the processes cannot be started here: then it says what will happen.

    Args:
        module: what the processes run, with the arguments of this one.
    """
    if any(name in os.environ for name in COUNTS) or not {"MASTER_ADDR", "ACCELERATE_MIXED_PRECISION"} <= {*os.environ}:
        return
    wanted, machines = _asked_for(_command_line_of_parent())
    torchrun = f"torchrun --nproc_per_node {wanted or 'N'} -m {module} ..."
    asked = f"accelerate launch was asked for {wanted or 'several'} processes and started one"
    if torch.accelerator.is_available():
        _say(f"{asked}, since there is one GPU: that one works alone")
    elif not wanted or machines > 1:
        _say(f"{asked}, which works alone; for several: {torchrun}")
    else:
        _say(f"{asked}, since there is no GPU: starting {wanted} on CPUs, as `{torchrun}` does")
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={wanted}"]
        os.execv(sys.executable, [sys.executable, *launcher, "-m", module, *sys.argv[1:]])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _command_line_of_parent() -> list[str]:
    try:
        parent = psutil.Process().parent()
        return parent.cmdline() if parent is not None else []
    except psutil.Error:
        return []


def _asked_for(command: Sequence[str]) -> tuple[int | None, int]:
    """Processes and machines that a command line of accelerate's launcher asks for; (None, 1) where it is none."""
    from accelerate.commands.launch import launch_command_parser

    place = next((number for number, word in enumerate(command) if Path(word).name in LAUNCHERS), None)
    if place is None:
        return None, 1
    args = launch_command_parser().parse_args(list(command[place + 1 :]))
    return args.num_processes, args.num_machines or 1
