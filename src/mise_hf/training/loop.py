"""The loop that all three trainings share: steps, progress, trackers, checkpoints, resume, the run folder."""

import json
import math
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration
from torch import nn
from tqdm import tqdm

from mise_hf.training.arguments import RunArguments

CONFIG_FILE = "training_config.json"
METRICS_FILE = "metrics.jsonl"
KEPT_CHECKPOINTS = 2
# Where a run is, how it is watched: not what it computes, so a resumed run may change them.
FREE_ARGUMENTS = {"output_dir", "overwrite", "resume", "save_every"}


class Training(Protocol):
    """One of the three trainings: its parts, and one optimiser step."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Everything with weights, by name."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """By name."""

    def step(self, step: int) -> dict[str, float]:
        """Take optimiser step number `step`, every random draw a function of (seed, step); returns its metrics."""


def make_accelerator(arguments: RunArguments) -> Accelerator:
    """The accelerator of a run folder, which is made, refused or gone on with.

    Raises:
        ValueError: where the folder holds a finished run, or one of another configuration, and neither is to be
            overwritten; or the folder cannot be written.
    """
    folder = Path(arguments.output_dir)
    accelerator = Accelerator(
        log_with="tensorboard",
        project_config=ProjectConfiguration(project_dir=os.fspath(folder), logging_dir=os.fspath(folder)),
    )
    if accelerator.is_main_process:
        prepare_folder(folder, arguments)
    accelerator.wait_for_everyone()
    accelerator.init_trackers("tensorboard")
    return accelerator


def prepare_folder(folder: Path, arguments: RunArguments) -> None:
    """Make the run folder, or check that the one there may be gone on with."""
    config = folder / CONFIG_FILE
    if config.is_file() and arguments.overwrite:
        shutil.rmtree(folder)
    if config.is_file():
        before = json.loads(config.read_text(encoding="utf-8"))
        now = arguments.as_dict()
        changed = {k: (before.get(k), now[k]) for k in now if k not in FREE_ARGUMENTS and before.get(k) != now[k]}
        if changed:
            listed = "; ".join(f"{key} was {old!r}, is {new!r}" for key, (old, new) in changed.items())
            raise ValueError(
                f"{folder} holds a run of another configuration ({listed}); choose another folder or --overwrite"
            )
        if (folder / "model.safetensors").exists() or arguments.resume == "none":
            raise ValueError(f"{folder} already holds a run; choose another folder or --overwrite")
    elif folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty and holds no run of ours; wanted a new or empty folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps(arguments.as_dict(), indent=2), encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror}; wanted a writable folder") from error


def run_training(training: Training, arguments: RunArguments, accelerator: Accelerator, name: str) -> None:
    """Take all steps, from the newest whole checkpoint on; every step goes to the trackers and `metrics.jsonl`."""
    folder = Path(arguments.output_dir)
    first = load_checkpoint(training, folder)
    metrics_file = folder / METRICS_FILE
    if accelerator.is_main_process:
        _cut_metrics(metrics_file, first)
    quiet = not accelerator.is_main_process
    with tqdm(total=arguments.steps, initial=first, desc=name, unit="step", disable=quiet or None) as bar:
        for step in range(first, arguments.steps):
            metrics = training.step(step)
            if not all(math.isfinite(value) for value in metrics.values()):
                raise ValueError(
                    f"{name} diverged at step {step} ({metrics}); nothing was saved over: lower the learning rate, or "
                    f"go on from the newest of {folder / 'checkpoints'}"
                )
            accelerator.log(metrics, step=step)
            if accelerator.is_main_process:
                with metrics_file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps({"step": step, **metrics}) + "\n")
                if (step + 1) % arguments.save_every == 0 and step + 1 < arguments.steps:
                    save_checkpoint(training, folder, step + 1)
            bar.update()
            bar.set_postfix({key: f"{value:.3g}" for key, value in list(metrics.items())[:3]}, refresh=False)
    accelerator.wait_for_everyone()
    accelerator.end_training()


def run_quietly(training: Training, steps: int, on_step: Callable[[int, dict[str, float]], None] | None = None) -> None:
    """Take `steps` steps in memory: no folder, no tracker."""
    for step in range(steps):
        metrics = training.step(step)
        if on_step is not None:
            on_step(step, metrics)


def save_checkpoint(training: Training, folder: Path, step: int) -> None:
    """Write `checkpoints/step-N` whole or not at all, then drop all but the newest two."""
    home = folder / "checkpoints"
    home.mkdir(exist_ok=True)
    final, draft = home / f"step-{step:08d}", home / f".draft-{step:08d}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    state = {
        "step": step,
        "modules": {name: module.state_dict() for name, module in training.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in training.optimizers.items()},
    }
    with (draft / "state.pt").open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)
    for old in sorted(home.glob("step-*"))[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)


def load_checkpoint(training: Training, folder: Path) -> int:
    """Load the newest whole checkpoint; returns the step to go on with, 0 where there is none."""
    for path in sorted((folder / "checkpoints").glob("step-*"), reverse=True):
        try:
            state = torch.load(path / "state.pt", weights_only=True, map_location="cpu")
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            tqdm.write(f"checkpoint {path.name} cannot be read ({error}); trying the one before")
            continue
        for name, module in training.modules.items():
            module.load_state_dict(state["modules"][name])
        for name, optimizer in training.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        return state["step"]
    return 0


def _cut_metrics(path: Path, first: int) -> None:
    """Drop the lines of steps that will be taken again, and a line that a kill cut short."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] < first:
                kept.append(line + "\n")
        except json.JSONDecodeError:
            break
    path.write_text("".join(kept), encoding="utf-8")
