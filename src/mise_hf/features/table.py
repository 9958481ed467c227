"""`FeatureTable`: the pooled states of a corpus in memory, with labels and speakers. Arrays only: no torch."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Stands for an official split that a table was made without.
_NONE = np.empty(0, dtype=np.str_)
STATES = ("audio_states", "text_states")
STRINGS = ("speakers", "ids", "texts", "sessions", "partitions", "folds")


@dataclass(frozen=True)
class FeatureTable:
    """Pooled states of utterances, one row an utterance.

    Attributes:
        audio_states: float16 or float32 (utterances, layers, 2 * hidden), mean then standard deviation; or None.
        text_states: the same of the transcripts; or None.
        labels: int64 (utterances,), an index into `label_names`.
        label_names: emotions.
        speakers: str (utterances,).
        ids: str (utterances,).
        texts: str (utterances,), "" where there is no transcript.
        sessions: str (utterances,), "" where the corpus has none.
        corpus: name of the corpus.
        audio_layers: encoder layer of each entry of the second axis of `audio_states`.
        text_layers: the same for `text_states`.
        fingerprint: how the states were made, see `mise_hf.features.fingerprint`.
        partitions: str (utterances,), the corpus's official partition of each, "" where it has none (the default).
        folds: str (utterances,), the official fold that tests each, "" where the corpus has none (the default).

    Raises:
        ValueError: for lengths that differ, NaN, labels outside `label_names`, or states of another shape.
    """

    audio_states: np.ndarray | None
    text_states: np.ndarray | None
    labels: np.ndarray
    label_names: tuple[str, ...]
    speakers: np.ndarray
    ids: np.ndarray
    texts: np.ndarray
    sessions: np.ndarray
    corpus: str
    audio_layers: tuple[int, ...] = ()
    text_layers: tuple[int, ...] = ()
    fingerprint: dict[str, Any] = field(default_factory=dict)
    partitions: np.ndarray = field(default_factory=lambda: _NONE)
    folds: np.ndarray = field(default_factory=lambda: _NONE)

    def __post_init__(self) -> None:
        rows = len(self.ids)
        for name in ("partitions", "folds"):
            if getattr(self, name) is _NONE:
                object.__setattr__(self, name, np.full(rows, "", dtype=np.str_))
        if self.audio_states is None and self.text_states is None:
            raise ValueError("audio_states and text_states are both None; wanted at least one of them")
        for name, layers in (("audio_states", self.audio_layers), ("text_states", self.text_layers)):
            states = getattr(self, name)
            if states is not None:
                _check_states(name, states, rows, len(layers))
        for name in ("labels", *STRINGS):
            values = getattr(self, name)
            if not isinstance(values, np.ndarray) or values.shape != (rows,):
                raise ValueError(f"{name} has shape {np.shape(values)}; wanted an array ({rows},), one entry an id")
        if not np.issubdtype(self.labels.dtype, np.integer):
            raise ValueError(f"labels have type {self.labels.dtype}; wanted whole numbers")
        if rows and not (self.labels.min() >= 0 and self.labels.max() < len(self.label_names)):
            raise ValueError(
                f"labels run from {self.labels.min()} to {self.labels.max()}; wanted 0 to {len(self.label_names) - 1} "
                f"({', '.join(self.label_names)})"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, indices: Sequence[int] | np.ndarray) -> "FeatureTable":
        """The rows `indices` (whole numbers, or one boolean a row), in that order.

        Raises:
            ValueError: for a boolean selection of another length.
        """
        chosen = np.asarray(indices)
        if chosen.dtype == bool and chosen.shape != (len(self),):
            raise ValueError(f"the boolean selection has shape {chosen.shape}; wanted ({len(self)},)")
        if chosen.size == 0:
            chosen = chosen.astype(np.int64)
        changed: dict[str, Any] = {name: getattr(self, name)[chosen] for name in ("labels", *STRINGS)}
        for name in STATES:
            states = getattr(self, name)
            changed[name] = None if states is None else states[chosen]
        return replace(self, **changed)

    def layer(self, number: int | Sequence[int]) -> np.ndarray:
        """Audio states of encoder layer `number`, or of several side by side, float32
        (utterances, layers * 2 * hidden).

        Raises:
            ValueError: where a layer is not in the table.
        """
        numbers = [number] if isinstance(number, int) else list(number)
        absent = [wanted for wanted in numbers if wanted not in self.audio_layers]
        if self.audio_states is None or absent or not numbers:
            raise ValueError(f"layer {number} is not in the table; it holds the audio layers {list(self.audio_layers)}")
        places = [self.audio_layers.index(wanted) for wanted in numbers]
        return (
            self.audio_states[:, places].reshape(len(self), len(places) * self.audio_states.shape[2]).astype(np.float32)
        )

    @classmethod
    def from_folder(cls, path: str | os.PathLike[str]) -> "FeatureTable":
        """The whole of a feature folder, as `mise-hf extract` writes it.

        Raises:
            ValueError: where the folder holds no finished features.
        """
        shards = sorted(Path(path).glob("shard-*.parquet"))
        if not shards or not (Path(path) / "fingerprint.json").is_file():
            raise ValueError(
                f"{os.fspath(path)!r} holds no finished features (shard-*.parquet and fingerprint.json); run `mise-hf "
                "extract`, again if it was stopped"
            )
        return cls._from_arrow(pa.concat_tables([pq.read_table(shard) for shard in shards]))

    @classmethod
    def from_dataset(cls, dataset: Any) -> "FeatureTable":
        """A feature `datasets.Dataset`, e.g. `load_dataset(feature_folder, split="train")`, with any transform ignored.

        Raises:
            ValueError: where its columns are not those of features.
        """
        rows = dataset.with_format("arrow")
        return cls._from_arrow(rows[:], label_names=tuple(dataset.features["label"].names))

    @classmethod
    def _from_arrow(cls, rows: pa.Table, label_names: tuple[str, ...] | None = None) -> "FeatureTable":
        missing = [name for name in ("id", "label", "speaker", "fingerprint") if name not in rows.column_names]
        if missing:
            raise ValueError(f"the rows lack the columns {missing}; wanted what `mise-hf extract` writes")
        if rows.num_rows == 0:
            raise ValueError("the features have no row; wanted at least 1: see rejected.jsonl for what was left out")
        prints = rows["fingerprint"].unique().to_pylist()
        if len(prints) != 1:
            raise ValueError(f"the rows carry {len(prints)} fingerprints; wanted one: do not mix encoders or layers")
        fingerprint = json.loads(prints[0])
        if label_names is None:
            features = json.loads(rows.schema.metadata[b"huggingface"])["info"]["features"]
            label_names = tuple(features["label"]["names"])
        corpora = rows["corpus"].unique().to_pylist()
        return cls(
            audio_states=_states(rows, "audio_states"),
            text_states=_states(rows, "text_states"),
            labels=rows["label"].to_numpy().astype(np.int64),
            label_names=label_names,
            speakers=_strings(rows, "speaker"),
            ids=_strings(rows, "id"),
            texts=_strings(rows, "text"),
            sessions=_strings(rows, "session"),
            corpus="+".join(sorted(str(name) for name in corpora)),
            audio_layers=tuple(fingerprint.get("audio_layers") or ()),
            text_layers=tuple(fingerprint.get("text_layers") or ()),
            fingerprint=fingerprint,
            partitions=_strings(rows, "partition"),
            folds=_strings(rows, "fold"),
        )


FIELDS = tuple(entry.name for entry in fields(FeatureTable))


def _check_states(name: str, states: np.ndarray, rows: int, layers: int) -> None:
    if states.ndim != 3 or states.shape[:2] != (rows, layers) or states.shape[2] == 0 or states.shape[2] % 2:
        raise ValueError(
            f"{name} has shape {states.shape}; wanted (utterances, layers, 2 * hidden) = ({rows}, {layers}, an even "
            "number)"
        )
    if states.dtype not in (np.float16, np.float32):
        raise ValueError(f"{name} has type {states.dtype}; wanted float16 or float32")
    bad = np.flatnonzero(~np.isfinite(states).all(axis=(1, 2)))
    if bad.size:
        raise ValueError(f"{name} holds NaN or infinity in {bad.size} rows (the first is row {bad[0]}); wanted none")


def _strings(rows: pa.Table, name: str) -> np.ndarray:
    if name not in rows.column_names:
        return np.full(rows.num_rows, "", dtype=np.str_)
    return np.array(["" if value is None else value for value in rows[name].to_pylist()], dtype=np.str_)


def _states(rows: pa.Table, name: str) -> np.ndarray | None:
    """(utterances, layers, 2 * hidden) of a column of nested lists, without a Python object for each number."""
    if name not in rows.column_names:
        return None
    column = rows[name].combine_chunks()
    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    if column.null_count:
        raise ValueError(f"{name} is missing in {column.null_count} rows; wanted states in every row")
    layers = column.flatten()
    values = layers.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(rows.num_rows, len(layers) // rows.num_rows, -1)
