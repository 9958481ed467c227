"""What a run leaves of each step: a line of `metrics.jsonl`, scalars for TensorBoard; each step once, killed or not."""

import json
import os
from pathlib import Path

from accelerate import Accelerator

METRICS_FILE = "metrics.jsonl"
EVENTS = "events.out.tfevents."


class Trackers:
    """Writes metrics of the steps from `first` on; those that a killed run wrote of them are dropped."""

    def __init__(self, accelerator: Accelerator, folder: Path, first: int):
        self.accelerator = accelerator
        self.lines = None
        if accelerator.is_main_process:
            cut_metrics(folder / METRICS_FILE, first)
            order_events(folder / "tensorboard", first)
            self.lines = (folder / METRICS_FILE).open("a", encoding="utf-8")
        # Readers drop what earlier files have from this step on.
        options = {"purge_step": first} if first else {}
        accelerator.init_trackers("tensorboard", init_kwargs={"tensorboard": options})
        self.events = accelerator.get_tracker("tensorboard", unwrap=True) if accelerator.is_main_process else None

    def log(self, step: int, metrics: dict[str, float]) -> None:
        """Note a step's metrics."""
        if self.lines is None:
            return
        self.lines.write(json.dumps({"step": step, **metrics}) + "\n")
        for name, value in metrics.items():
            self.events.add_scalar(name, value, global_step=step)

    def flush(self) -> None:
        """Bring all that was noted onto the disk: before a checkpoint, which must not be ahead of it."""
        if self.lines is None:
            return
        self.lines.flush()
        os.fsync(self.lines.fileno())
        self.events.flush()

    def close(self) -> None:
        """Flush and close."""
        if self.lines is None:
            return
        self.flush()
        self.lines.close()
        self.events.close()


def cut_metrics(path: Path, first: int) -> None:
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
    draft = path.with_name(f".{path.name}")
    draft.write_text("".join(kept), encoding="utf-8")
    draft.replace(path)


def order_events(folder: Path, first: int) -> None:
    """Rename earlier event files so that their names sort in the order of writing; none is kept for a fresh start.

    Names begin with the second of writing and go on with the process id; of two runs started within one second the
    later might sort first, and readers would purge the wrong steps.
    """
    for index, path in enumerate(sorted(folder.glob(f"{EVENTS}*"))):
        if not first:
            path.unlink()
            continue
        rest = path.name.removeprefix(EVENTS).partition(".")[2]
        path.rename(path.with_name(f"{EVENTS}{index:010d}.{rest}"))
