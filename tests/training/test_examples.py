"""Every file of `examples/` that trains: executed as README prints it, or validated where it needs GPUs."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser

from mise_hf.training import aligner, classifier, generator

EXAMPLES = Path(__file__).parents[2] / "examples"
LAUNCHER = shutil.which("accelerate", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def test_the_three_example_configurations_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module, name in ((aligner, "aligner"), (generator, "generator"), (classifier, "classifier")):
        module.main(["--config", str(EXAMPLES / f"{name}.yaml"), "--steps", "3"])
        folder = tmp_path / yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())["output_dir"]
        assert (folder / "model.safetensors").is_file()


def launch(options: list, folder: Path) -> subprocess.CompletedProcess:
    """README's line, with fewer steps."""
    command = [
        LAUNCHER,
        "launch",
        *options,
        "-m",
        "mise_hf.training.generator",
        "--config",
        EXAMPLES / "generator.yaml",
    ]
    command += ["--steps", "4", "--output_dir", folder]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment)


def configured(config: str) -> list:
    """By a file of `examples/accelerate`, at a port that is free."""
    return ["--config_file", EXAMPLES / "accelerate" / config, "--main_process_port", "0"]


@pytest.mark.parametrize(
    "options", [["--num_processes", "2"], pytest.param(configured("cpu2.yaml"), marks=pytest.mark.slow)]
)
def test_two_cpu_processes_are_launched_and_work_together(tmp_path, options):
    done = launch(options, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    if options[0] == "--num_processes":
        assert "was asked for 2 processes and started one, since there is no GPU: starting 2 on CPUs" in done.stderr
    assert "generator: 2 processes on cpu" in done.stdout + done.stderr
    generator.main(
        ["--config", str(EXAMPLES / "generator.yaml"), "--steps", "4", "--output_dir", str(tmp_path / "one")]
    )
    one, two = ((tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("one", "two"))
    assert [json.loads(line) for line in two] == [pytest.approx(json.loads(line), abs=1e-4) for line in one]


@pytest.mark.slow
def test_a_launcher_that_is_told_to_stop_lets_its_processes_save(tmp_path):
    """Slurm sends SIGTERM to the launcher, which passes it on."""
    run = tmp_path / "run"
    command = [LAUNCHER, "launch", "--config_file", EXAMPLES / "accelerate" / "cpu2.yaml", "--main_process_port", "0"]
    command += ["-m", "mise_hf.training.generator", "--config", EXAMPLES / "generator.yaml", "--steps", "1000000"]
    command += ["--save_every", "10", "--feature_size", "8", "--hidden_size", "16", "--output_dir", run]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*map(str, command)], env=environment, stderr=subprocess.PIPE, text=True) as launcher:
        while launcher.poll() is None and not list(run.glob("checkpoints/step-*")):
            time.sleep(0.1)
        launcher.terminate()
        printed = launcher.communicate()[1]
    last = max(path.name for path in (run / "checkpoints").glob("step-*"))
    steps = len((run / "metrics.jsonl").read_text().splitlines())
    assert last == f"step-{steps:08d}", printed


@pytest.mark.slow
def test_one_cpu_process_is_launched(tmp_path):
    done = launch(configured("cpu1.yaml"), tmp_path / "one")
    assert done.returncode == 0, done.stderr
    assert "generator: 1 process on cpu" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "machines", "processes", "precision", "gpus"),
    [
        ("cpu1", 1, 1, "no", False),
        ("cpu2", 1, 2, "no", False),
        ("gpu1", 1, 1, "bf16", True),
        ("gpu8", 1, 8, "bf16", True),
        ("machines2", 2, 16, "bf16", True),
    ],
)
def test_launch_configurations_are_what_accelerate_reads(name, machines, processes, precision, gpus):
    path = str(EXAMPLES / "accelerate" / f"{name}.yaml")
    config = load_config_from_file(path)
    assert config.mixed_precision == precision and config.use_cpu is not gpus
    args = launch_command_parser().parse_args(["--config_file", path, "script.py"])
    args = _validate_launch_command(args)[0]
    assert (args.num_machines, args.num_processes) == (machines, processes)
    assert args.multi_gpu is (processes > 1)


def test_the_slurm_example_starts_one_launcher_a_machine(tmp_path):
    """With stand-ins for Slurm's commands: what each machine would run."""
    tools = tmp_path / "bin"
    tools.mkdir()
    scripts = {
        "scontrol": "echo first; echo second",
        # As Slurm does: the command once on each machine, which knows its number.
        "srun": 'for SLURM_NODEID in 0 1; do export SLURM_NODEID; "$@"; done',
        "accelerate": 'echo "$@"',
    }
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/bash\n{script}\n")
        (tools / name).chmod(0o755)
    environment = {"PATH": f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    environment |= {"SLURM_JOB_NODELIST": "node[1-2]", "SLURM_NNODES": "2"}
    done = subprocess.run(
        ["bash", EXAMPLES / "slurm.sh", "generator", "examples/generator.yaml"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    started = [line.split() for line in done.stdout.splitlines()]
    assert len(started) == 2
    for number, line in enumerate(started):
        args = launch_command_parser().parse_args(line[1:])
        assert (args.machine_rank, args.num_machines, args.num_processes) == (number, 2, 16)
        assert (args.main_process_ip, args.main_process_port) == ("first", 29500)
        assert args.config_file == "examples/accelerate/machines2.yaml" and args.module
        assert args.training_script == "mise_hf.training.generator"
        assert args.training_script_args == ["--config", "examples/generator.yaml"]
