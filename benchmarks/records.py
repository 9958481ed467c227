"""One estimate of one task on one data set, kept as a line of a file, so that a table cut short goes on where it was.

A line of ours counts only for the code that made it: `code` is a digest of the estimators' sources.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mise_hf.metrics.mise_quality as ours

OURS = "mise_hf"
WARM_ROWS = 200


@dataclass(frozen=True)
class Record:
    """What `estimator` found on `task` with the data of `seed`.

    Attributes:
        value: nats, None where it failed.
        seconds: CPU seconds of the process.
        interval: ours only, nats.
        flags: ours only.
        failure: why there is no value.
        code: digest of the sources, ours only.
    """

    task: str
    rows: int
    seed: int
    estimator: str
    value: float | None
    seconds: float
    interval: tuple[float, float] | None = None
    flags: tuple[str, ...] = ()
    failure: str = ""
    code: str = ""

    @property
    def key(self) -> tuple:
        """What makes two lines the same piece of work."""
        return self.task, self.rows, self.seed, self.estimator, self.code


def digest() -> str:
    """Of the estimators' sources as they lie on disk."""
    folder = Path(ours.__file__).parent
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest()[:12]


class Records:
    """The lines of `path`, or of nowhere; a new one is written at once."""

    def __init__(self, path: str | None):
        self.path = path
        self.warm: set[str] = set()
        self.known: dict[tuple, Record] = {}
        for line in Path(path).read_text().splitlines() if path and Path(path).exists() else ():
            fields = json.loads(line)
            fields["flags"] = tuple(fields["flags"])
            record = Record(**fields)
            self.known[record.key] = record

    def get(self, estimate: Callable, draw: Callable, task: str, rows: int, seed: int, name: str, code: str) -> Record:
        """The record there is, or a new one."""
        key = (task, rows, seed, name, code if name == OURS else "")
        if key not in self.known:
            if name not in self.warm:
                # Imports and first calls are no part of an estimate's cost.
                measured(estimate, draw(WARM_ROWS, 0), *key)
                self.warm.add(name)
            record = measured(estimate, draw(rows, seed), *key)
            self.known[key] = record
            if self.path:
                with Path(self.path).open("a") as file:
                    file.write(json.dumps(asdict(record)) + "\n")
        return self.known[key]


def measured(
    estimate: Callable, data: tuple[Any, ...], task: str, rows: int, seed: int, name: str, code: str
) -> Record:
    """One call of `estimate`; a peer's failure is a result, ours is not caught."""
    started = time.process_time()
    try:
        found = estimate(*data)
    except (ValueError, RuntimeError) as problem:
        if name == OURS:
            raise
        return Record(task, rows, seed, name, None, time.process_time() - started, failure=str(problem)[:60])
    seconds = time.process_time() - started
    if name != OURS:
        return Record(task, rows, seed, name, float(found), seconds)
    return Record(task, rows, seed, name, found.raw, seconds, found.interval, found.flags, code=code)
