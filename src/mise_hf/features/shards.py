"""Shards of a feature folder: which rows each holds, and writing one so that it is there whole or not at all.

A shard is a range of rows of the prepared corpus, so that it does not matter which process makes it, or when.
"""

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Array2D, Features, Value

from mise_hf.corpora.prepared import row_features

# Key of the Parquet metadata under which a shard keeps the rows that it had to leave out.
REJECTED = b"mise_rejected"


def shard_ranges(rows: int, shard_rows: int) -> list[tuple[int, int]]:
    """First row and row behind the last of each shard.

    Raises:
        ValueError: for shards without rows.
    """
    if shard_rows < 1:
        raise ValueError(f"a shard has {shard_rows} rows; wanted at least 1")
    return [(start, min(start + shard_rows, rows)) for start in range(0, rows, shard_rows)]


def shard_path(folder: Path, index: int, count: int) -> Path:
    """File of shard `index` of `count`."""
    return folder / f"shard-{index:06d}-of-{count:06d}.parquet"


def feature_columns(
    label_names: tuple[str, ...], audio_shape: tuple[int, int] | None, text_shape: tuple[int, int] | None
) -> Features:
    """The `datasets.Features` of feature rows: those of the prepared corpus with states (layers, 2 * hidden)."""
    columns = dict(row_features(label_names))
    del columns["audio"]
    if audio_shape is not None:
        columns["audio_states"] = Array2D(audio_shape, "float16")
    if text_shape is not None:
        columns["text_states"] = Array2D(text_shape, "float16")
    return Features({**columns, "fingerprint": Value("string")})


def write_shard(
    path: Path,
    features: Features,
    rows: list[dict[str, Any]],
    states: dict[str, np.ndarray],
    fingerprint: dict[str, Any],
    rejected: list[dict[str, Any]],
) -> None:
    """Write one shard atomically.

    Args:
        path: of the shard.
        features: from `feature_columns`.
        rows: of the prepared corpus, those kept.
        states: "audio_states" and "text_states" as float16 (rows, layers, 2 * hidden).
        fingerprint: of the features.
        rejected: rows that were left out, with the reason.
    """
    schema = features.arrow_schema
    columns: list[pa.Array] = []
    for entry in schema:
        if entry.name in states:
            columns.append(_nested(states[entry.name], entry.type))
        elif entry.name == "fingerprint":
            columns.append(pa.array([json.dumps(fingerprint)] * len(rows), pa.string()))
        else:
            columns.append(pa.array([row[entry.name] for row in rows], entry.type))
    metadata = {**(schema.metadata or {}), REJECTED: json.dumps(rejected).encode()}
    table = pa.Table.from_arrays(columns, schema=schema.with_metadata(metadata))
    with atomic(path) as file:
        pq.write_table(table, file)


def read_rejected(path: Path) -> list[dict[str, Any]]:
    """The rows that the shard at `path` had to leave out, with the reason."""
    return json.loads((pq.read_schema(path).metadata or {}).get(REJECTED, b"[]"))


class atomic:
    """A binary file that appears under its name only when it is whole and on the disk.

    Args:
        path: of the file.
        first: leave a file alone that another process put there meanwhile.
    """

    def __init__(self, path: Path, first: bool = False) -> None:
        self.path = path
        self.first = first
        # Processes of two machines may share a number, and a folder.
        self.temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")

    def __enter__(self) -> IO[bytes]:
        self.file = self.temporary.open("wb")
        return self.file

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            # On a full disk the last bytes fail to leave here.
            with self.file:
                if error is None:
                    self.file.flush()
                    os.fsync(self.file.fileno())
        except OSError:
            self.temporary.unlink(missing_ok=True)
            raise
        if error is None:
            self._name()
        else:
            self.temporary.unlink(missing_ok=True)

    def _name(self) -> None:
        try:
            if self.first:
                with suppress(FileExistsError):
                    os.link(self.temporary, self.path)
                self.temporary.unlink()
            else:
                self.temporary.replace(self.path)
        except FileNotFoundError:
            # Another run into the same folder was done first, and cleared away what looked like a leftover.
            if not self.path.exists():
                raise


def write_text(path: Path, text: str, first: bool = False) -> None:
    """Write a text file atomically; with `first`, leave one alone that another process put there meanwhile."""
    with atomic(path, first) as file:
        file.write(text.encode("utf-8"))


def _nested(states: np.ndarray, kind: pa.ExtensionType) -> pa.ExtensionArray:
    """float16 (rows, layers, width) as the nested lists that `datasets.Array2D` is stored in."""
    rows, layers, width = states.shape
    inner = pa.ListArray.from_arrays(
        pa.array(np.arange(rows * layers + 1) * width, pa.int32()), pa.array(np.ascontiguousarray(states).reshape(-1))
    )
    outer = pa.ListArray.from_arrays(pa.array(np.arange(rows + 1) * layers, pa.int32()), inner)
    return pa.ExtensionArray.from_storage(kind, outer)
