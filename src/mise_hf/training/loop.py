"""The loop that all three trainings share: steps, progress, trackers, checkpoints, resume, stops, divergence."""

from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol

import torch
from torch import nn
from tqdm import tqdm

from mise_hf.training.arguments import RunArguments
from mise_hf.training.checkpoints import newest_whole, write_checkpoint
from mise_hf.training.distributed import from_main, highest
from mise_hf.training.divergence import CHECK_EVERY, DivergedError, not_finite, not_finite_weights
from mise_hf.training.run_folder import Run
from mise_hf.training.stopping import StopSignals
from mise_hf.training.trackers import Trackers


class Training(Protocol):
    """One of the three trainings: its parts, and one optimiser step."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Everything with weights, by name."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """By name."""

    def step(self, step: int) -> dict[str, float]:
        """Take optimiser step number `step`, every random draw a function of (seed, step); returns its metrics, equal
        on all processes."""

    def degenerate(self) -> str | None:
        """What is wrong with what has been learnt, equal on all processes; None for nothing."""


def run_training(training: Training, arguments: RunArguments, run: Run, name: str) -> None:
    """Take all steps, from the newest whole checkpoint on.

    Raises:
        DivergedError: for NaN, infinity, or what the training calls degenerate; nothing was overwritten.
        SystemExit: with status 128 + signal after SIGTERM or Ctrl-C, once the run is saved.
    """
    if run.accelerator.is_main_process:
        count = run.accelerator.num_processes
        tqdm.write(f"{name}: {count} process{'es' * (count > 1)} on {run.accelerator.device.type}")
    first = resume(training, run)
    trackers = Trackers(run.accelerator, run.folder, first)
    quiet = not run.accelerator.is_main_process
    try:
        with (
            StopSignals() as stop,
            tqdm(total=arguments.steps, initial=first, desc=name, unit="step", disable=quiet or None) as bar,
        ):
            for step in range(first, arguments.steps):
                metrics = training.step(step)
                require_sound(training, metrics, step, run, name)
                trackers.log(step, metrics)
                stopped = highest(stop.number, run.accelerator)
                if stopped or ((step + 1) % arguments.save_every == 0 and step + 1 < arguments.steps):
                    trackers.flush()
                    save(training, run, step + 1, name)
                if stopped:
                    _leave(stopped, step + 1, run, name)
                bar.update()
                bar.set_postfix({key: f"{value:.3g}" for key, value in list(metrics.items())[:3]}, refresh=False)
        _require_sound_weights(training, arguments.steps, run, name)
    finally:
        trackers.close()
    run.accelerator.wait_for_everyone()


def run_quietly(training: Training, steps: int, on_step: Callable[[int, dict[str, float]], None] | None = None) -> None:
    """Take `steps` steps in memory: no folder, no tracker.

    Raises:
        DivergedError: for NaN or infinity.
    """
    for step in range(steps):
        metrics = training.step(step)
        cause = not_finite(metrics)
        if cause is not None:
            raise DivergedError(f"diverged at step {step}: {cause}")
        if on_step is not None:
            on_step(step, metrics)


def require_sound(training: Training, metrics: dict[str, float], step: int, run: Run, name: str) -> None:
    """Raise DivergedError where step number `step` shows that the training has gone wrong."""
    cause = not_finite(metrics)
    if cause is None and (step + 1) % CHECK_EVERY == 0:
        cause = training.degenerate()
    if cause is not None:
        _raise_diverged(cause, step, run, name)


def save(training: Training, run: Run, step: int, name: str) -> None:
    """Write the checkpoint of `step` steps taken; raise DivergedError where it would not be a good one."""
    _require_sound_weights(training, step, run, name)
    if run.accelerator.is_main_process:
        state = {
            "step": step,
            "modules": {name: module.state_dict() for name, module in training.modules.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in training.optimizers.items()},
        }
        write_checkpoint(run.checkpoints, step, state)
    run.accelerator.wait_for_everyone()


def resume(training: Training, run: Run) -> int:
    """Load the newest whole checkpoint on every process; returns the step to go on with, 0 where there is none."""
    state = None
    if run.accelerator.is_main_process:
        path, state, problems = newest_whole(run.checkpoints)
        for problem in problems:
            tqdm.write(f"{problem}; skipped")
        if path is not None:
            tqdm.write(f"going on from {path}")
    # Read on the main process alone: other machines need not see its disk.
    state = from_main(state, run.accelerator)
    if state is None:
        return 0
    for name, module in training.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in training.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    return state["step"]


def _require_sound_weights(training: Training, step: int, run: Run, name: str) -> None:
    cause = not_finite_weights(training.modules) or training.degenerate()
    if cause is not None:
        _raise_diverged(cause, step - 1, run, name)


def _raise_diverged(cause: str, step: int, run: Run, name: str) -> NoReturn:
    last = max(run.checkpoints.glob("step-*"), default=None)
    raise DivergedError(
        f"{name} diverged at step {step}: {cause}. Nothing was saved over; the last good checkpoint is "
        f"{last if last is not None else 'none, it came too early'}. Lower the learning rate or clip the gradients "
        "(--max_grad_norm), in another folder"
    )


def _leave(number: int, step: int, run: Run, name: str) -> NoReturn:
    if run.accelerator.is_main_process:
        tqdm.write(f"{name} stopped by signal {number} after {step} steps and saved; the same command goes on")
    raise SystemExit(128 + number)
