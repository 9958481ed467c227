"""What lies in a feature folder too large to read at once: its blocks, labels, speakers, and how it was made."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mise_hf.features.provenance import corpus_record
from mise_hf.training.rows import check_trainable


@dataclass(frozen=True)
class Block:
    """A row group of a shard.

    Attributes:
        path: of the shard.
        group: number of the row group in it.
        rows: that are kept of it.
    """

    path: Path
    group: int
    rows: int


@dataclass(frozen=True)
class StreamIndex:
    """A feature folder without its states.

    Attributes:
        blocks: in the order of the shards; those without a kept row are left out.
        exclude_speakers: whose rows are not kept.
        counts: int64 (labels,), kept rows of each label.
        label_names: emotions.
        speakers: of the kept rows, sorted.
        corpus: name of the corpus.
        fingerprint: how the states were made.
        digest: SHA-256 of the shards' names and sizes and of what is kept.
    """

    blocks: list[Block]
    exclude_speakers: tuple[str, ...]
    counts: np.ndarray
    label_names: tuple[str, ...]
    speakers: list[str]
    corpus: str
    fingerprint: dict[str, Any]
    digest: str

    def __len__(self) -> int:
        return sum(block.rows for block in self.blocks)


def read_index(folder: str | Path, exclude_speakers: Sequence[str] = ()) -> StreamIndex:
    """Read labels and speakers of all shards of a feature folder, as `mise-hf extract` writes it.

    Raises:
        ValueError: for no finished features, states made in different ways, a speaker who is not there, fewer than two
            speakers left, or a class with fewer than two rows.
    """
    paths = sorted(Path(folder).glob("shard-*.parquet"))
    if not paths or not (Path(folder) / "fingerprint.json").is_file():
        raise ValueError(f"{str(folder)!r} holds no finished features; wanted what `mise-hf extract` writes")
    names = _label_names(paths[0])
    digest = hashlib.sha256(json.dumps(sorted(exclude_speakers)).encode())
    excluded = pa.array(sorted(exclude_speakers), pa.string())
    counts = np.zeros(len(names), dtype=np.int64)
    found: dict[str, set[str]] = {"speaker": set(), "corpus": set(), "fingerprint": set()}
    blocks = []
    for path in paths:
        digest.update(f"{path.name} {path.stat().st_size}".encode())
        # As dictionaries: these columns repeat a few values, some of them long.
        with pq.ParquetFile(path, read_dictionary=list(found)) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=["label", *found])
                for name, values in found.items():
                    values.update(map(str, rows[name].unique().to_pylist()))
                kept = rows.filter(pc.invert(pc.is_in(rows["speaker"].cast(pa.string()), value_set=excluded)))
                if kept.num_rows:
                    blocks.append(Block(path, group, kept.num_rows))
                    counts += np.bincount(kept["label"].to_numpy(), minlength=len(names))
    _check(found, exclude_speakers, counts, names)
    digest.update(counts.tobytes())
    return StreamIndex(
        blocks=blocks,
        exclude_speakers=tuple(exclude_speakers),
        counts=counts,
        label_names=names,
        speakers=sorted(found["speaker"] - set(exclude_speakers)),
        corpus="+".join(sorted(found["corpus"])),
        fingerprint=json.loads(found["fingerprint"].pop()),
        digest=digest.hexdigest(),
    )


def _label_names(path: Path) -> tuple[str, ...]:
    metadata = pq.read_schema(path).metadata or {}
    try:
        return tuple(json.loads(metadata[b"huggingface"])["info"]["features"]["label"]["names"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path.name} does not name its labels; wanted what `mise-hf extract` writes") from error


def _check(
    found: dict[str, set[str]], exclude_speakers: Sequence[str], counts: np.ndarray, names: tuple[str, ...]
) -> None:
    absent = sorted(set(exclude_speakers) - found["speaker"])
    if absent:
        raise ValueError(f"exclude_speakers has {absent}; wanted some of {sorted(found['speaker'])}")
    if len(found["fingerprint"]) != 1:
        raise ValueError(
            f"the rows carry {len(found['fingerprint'])} fingerprints; wanted one: do not mix encoders or layers"
        )
    check_trainable(sorted(found["speaker"] - set(exclude_speakers)), np.repeat(np.arange(len(counts)), counts), names)


def stream_corpora(index: StreamIndex, licence: str) -> list[dict[str, Any]]:
    """The records of a stream's kept rows, as `mise_hf.features.provenance.training_corpora` of a table's."""
    return [corpus_record(index.corpus, licence, index.speakers, len(index))]
