"""What a run folder holds, whoever wrote it: a demo, a benchmark, a training, or a folder of trainings."""

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS, PREDICTIONS, CONFIG, METRICS, MODEL = (
    "results.json",
    "predictions.parquet",
    "training_config.json",
    "metrics.jsonl",
    "config.json",
)
# Model type of a checkpoint to the training that makes it.
TRAININGS = {"mise_aligner": "aligner", "mise_generator": "generator", "mise_ser": "classifier"}
# Of a long training this many points of each curve are drawn.
MOST_POINTS = 200
# A run's own bookkeeping: nothing that a user gives.
NOT_FLAGS = {"output_dir", "overwrite", "resume", "data"}


@dataclass(frozen=True)
class Training:
    """One training: its name, its configuration and its metrics step by step."""

    name: str
    config: dict[str, Any]
    metrics: list[dict[str, float]]
    checkpoint: dict[str, Any]

    @property
    def command(self) -> str:
        """The command that makes it again."""
        what = TRAININGS.get(self.checkpoint.get("model_type", ""), self.name)
        words = ["mise-hf train", what]
        for key, value in self.config.items():
            if key in NOT_FLAGS or value in ("", None, []):
                continue
            shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            words.append(f"--{key.replace('_', '-')} {shown}")
        return " ".join([*words, f"--output-dir {self.config.get('output_dir', 'runs/again')}"])


@dataclass(frozen=True)
class Run:
    """A run folder, read: everything may be missing but one of results and trainings."""

    folder: Path
    results: dict[str, Any] = field(default_factory=dict)
    trainings: list[Training] = field(default_factory=list)
    checkpoints: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def predictions(self) -> Path | None:
        """The per-row predictions, where the run left any."""
        path = self.folder / PREDICTIONS
        return path if path.is_file() else None


def read_run(folder: str | os.PathLike[str]) -> Run:
    """Read what is there.

    Raises:
        ValueError: for a folder without results and trainings, or results that are no JSON object.
    """
    root = Path(folder)
    results: dict[str, Any] = {}
    if (root / RESULTS).is_file():
        try:
            results = json.loads((root / RESULTS).read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{root / RESULTS} is no JSON ({error}); wanted what a finished run wrote") from error
        if not isinstance(results, dict):
            raise ValueError(f"{root / RESULTS} holds a {type(results).__name__}; wanted an object")
    children = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    places = [root, *children]
    trainings = [_training(place) for place in places if (place / CONFIG).is_file()]
    checkpoints = {place.name: _json(place / MODEL) for place in places if (place / MODEL).is_file()}
    if not results and not trainings:
        raise ValueError(
            f"{root} holds no {RESULTS} and no {CONFIG}; wanted the folder of a demo, a benchmark or a training"
        )
    return Run(root, results, trainings, checkpoints)


def _training(folder: Path) -> Training:
    points: list[dict[str, float]] = []
    if (folder / METRICS).is_file():
        for line in (folder / METRICS).read_text(encoding="utf-8").splitlines():
            try:
                points.append(json.loads(line))
            except json.JSONDecodeError:
                # A kill cut the line short.
                break
    return Training(folder.name, _json(folder / CONFIG), thinned(points), _json(folder / MODEL))


def thinned(points: list[dict[str, float]]) -> list[dict[str, float]]:
    """Every k-th point and the last one."""
    step = math.ceil(len(points) / MOST_POINTS) or 1
    kept = points[::step]
    return kept if not points or kept[-1] is points[-1] else [*kept, points[-1]]


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
