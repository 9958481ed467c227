"""The folder of a run: made, refused or gone on with, locked against a second process, filled by the main one."""

import atexit
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration
from filelock import FileLock, Timeout
from transformers import PreTrainedModel

from mise_hf.training.arguments import RunArguments
from mise_hf.training.distributed import from_main

CONFIG_FILE = "training_config.json"
CONFIG_DRAFT = f".{CONFIG_FILE}"
LOCK_FILE = ".lock"
MODEL_FILE = "model.safetensors"
# Where a run is, how it is watched: not what it computes, so a resumed run may change them.
FREE_ARGUMENTS = {"output_dir", "overwrite", "resume", "save_every"}


@dataclass(frozen=True)
class Run:
    """A run under way.

    Attributes:
        folder: of the run.
        accelerator: which process this is, and on what device.
    """

    folder: Path
    accelerator: Accelerator

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    def finish(self, model: PreTrainedModel) -> None:
        """Leave the trained model in the folder, its weights last: with them the run counts as finished."""
        if self.accelerator.is_main_process:
            draft = self.folder / ".model"
            shutil.rmtree(draft, ignore_errors=True)
            model.save_pretrained(draft)
            for path in sorted(draft.iterdir(), key=lambda path: path.name == MODEL_FILE):
                path.replace(self.folder / path.name)
            draft.rmdir()
        self.accelerator.wait_for_everyone()


@contextmanager
def open_run(arguments: RunArguments, data: str) -> Iterator[Run]:
    """The run folder that `arguments` name, locked while the run lasts.

    Args:
        arguments: of the training.
        data: digest of what it learns from, so that a run is not gone on with on other rows.

    Raises:
        ValueError: where the folder is in use, holds a finished run, or one of another configuration, and is not to be
            overwritten; or cannot be written. On every process, whichever found it.
    """
    folder = Path(arguments.output_dir)
    # Without a GPU accelerate takes processes that `torchrun` started for single ones, unless told that they use CPUs.
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),
        log_with="tensorboard",
        project_config=ProjectConfiguration(project_dir=os.fspath(folder), logging_dir=os.fspath(folder)),
    )
    if accelerator.num_processes > 1:
        atexit.register(_leave_group)
    lock = FileLock(folder / LOCK_FILE)
    problem = None
    if accelerator.is_main_process:
        try:
            _prepare(folder, lock, arguments, data)
        except (ValueError, OSError) as error:
            problem = str(error)
    try:
        problem = from_main(problem, accelerator)
        if problem:
            raise ValueError(problem)
        yield Run(folder, accelerator)
    finally:
        lock.release()


def _prepare(folder: Path, lock: FileLock, arguments: RunArguments, data: str) -> None:
    """Lock the folder; make it, or check that the run there may be gone on with."""
    known = {folder / LOCK_FILE, folder / CONFIG_DRAFT}
    # Listed before it is asked for its configuration: another process may be making both at this moment.
    there = set(folder.iterdir()) if folder.exists() else set()
    if there - known and not (folder / CONFIG_FILE).is_file():
        raise ValueError(f"{folder} is not empty and holds no run of ours; wanted a new or empty folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ValueError(f"another process trains in {folder}; wait for it, or choose another folder") from error
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror}; wanted a writable folder") from error
    config = folder / CONFIG_FILE
    now = {**arguments.as_dict(), "data": data}
    if config.is_file() and arguments.overwrite:
        _empty(folder)
    if config.is_file():
        _require_same(folder, json.loads(config.read_text(encoding="utf-8")), now)
        if (folder / MODEL_FILE).exists() or arguments.resume == "none":
            raise ValueError(f"{folder} already holds a run; choose another folder or --overwrite")
        return
    draft = folder / CONFIG_DRAFT
    draft.write_text(json.dumps(now, indent=2), encoding="utf-8")
    draft.replace(config)


def _require_same(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    names = [name for name in {**before, **now} if name not in FREE_ARGUMENTS and before.get(name) != now.get(name)]
    if names:
        listed = "; ".join(f"{name} was {before.get(name)!r}, is {now.get(name)!r}" for name in names)
        raise ValueError(
            f"{folder} holds a run of another configuration ({listed}); choose another folder or --overwrite"
        )


def _empty(folder: Path) -> None:
    """Remove everything but the lock, the configuration last: without it the folder would no longer count as ours."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == CONFIG_FILE):
        if path.name == LOCK_FILE:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _leave_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
