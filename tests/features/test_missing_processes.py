"""What accelerate's launcher was asked for and did not start: told, and started where there are CPUs only."""

import os
import sys

import pytest
import torch

from mise_hf.features import missing_processes

MODULE = "mise_hf.training.generator"
LAUNCHED = {"MASTER_ADDR": "127.0.0.1", "ACCELERATE_MIXED_PRECISION": "no"}


class Started(Exception):
    pass


@pytest.fixture
def launched(monkeypatch):
    """`start_missing_processes` under a launcher's command line and variables; returns the command that it became."""

    def start(command: list[str], environment: dict[str, str], gpu: bool = False) -> list[str] | None:
        for name in (*missing_processes.COUNTS, *LAUNCHED):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(missing_processes, "_command_line_of_parent", lambda: command)
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpu)
        monkeypatch.setattr(sys, "argv", ["generator.py", "--steps", "4"])

        def become(path, argv):
            raise Started(argv)

        monkeypatch.setattr(os, "execv", become)
        try:
            missing_processes.start_missing_processes(MODULE)
        except Started as started:
            return started.args[0]
        return None

    return start


@pytest.mark.parametrize(
    "launcher",
    [["/bin/accelerate", "launch"], ["/bin/accelerate-launch"], ["-m", "accelerate.commands.launch"]],
)
def test_the_processes_asked_for_are_started_on_cpus(launched, launcher, capsys):
    command = ["python", *launcher, "--num_processes", "3", "--mixed_precision=bf16", "-m", MODULE, "--steps", "4"]
    become = launched(command, LAUNCHED)
    assert become[1:] == [
        *("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=3", "-m", MODULE),
        *("--steps", "4"),
    ]
    assert "asked for 3 processes and started one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "gpu", "command", "told"),
    [
        # Without a launcher, and one that has started what it was asked for.
        ({}, False, ["bash"], ""),
        ({"ACCELERATE_MIXED_PRECISION": "no"}, False, ["accelerate", "launch", "-m", MODULE], ""),
        (LAUNCHED | {"WORLD_SIZE": "2"}, False, ["accelerate", "launch", "--num_processes", "2", "x.py"], ""),
        (LAUNCHED | {"PMI_SIZE": "2"}, False, ["mpirun"], ""),
        (LAUNCHED, True, ["accelerate", "launch", "--num_processes", "2", "x.py"], "there is one GPU"),
        (LAUNCHED, False, ["bash"], f"asked for several processes and started one, which works alone; for several: "
         f"torchrun --nproc_per_node N -m {MODULE} ..."),
        (LAUNCHED, False, ["accelerate", "launch", "--num_processes=4", "--num_machines=2", "x.py"], "works alone"),
    ],
)  # fmt: skip
def test_whoever_works_alone_is_told(launched, capsys, environment, gpu, command, told):
    assert launched(command, environment, gpu) is None
    err = capsys.readouterr().err
    assert told in err if told else not err
