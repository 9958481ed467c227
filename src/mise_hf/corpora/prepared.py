"""A prepared corpus on disk: `utterances.parquet` (the rows) and `corpus.json` (how they were chosen)."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mise_hf.corpora.utterance import Corpus

ROWS = "utterances.parquet"
STORY = "corpus.json"
# Rows of one Parquet row group: the extraction reads a shard without reading the whole file.
ROW_GROUP = 1024


@dataclass(frozen=True)
class PreparedCorpus:
    """A prepared corpus: `story` is the content of corpus.json, rows are read when asked for."""

    folder: Path
    story: dict[str, Any]

    @property
    def label_names(self) -> tuple[str, ...]:
        """Emotions, in the order of the ClassLabel."""
        return tuple(self.story["label_names"])

    def __len__(self) -> int:
        return pq.ParquetFile(self.folder / ROWS).metadata.num_rows

    def rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        """The rows `start` up to `stop`, as dictionaries; `audio` is a path or None."""
        file = pq.ParquetFile(self.folder / ROWS)
        tables, position = [], 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if position < stop and position + size > start:
                first = max(start - position, 0)
                tables.append(file.read_row_group(group).slice(first, min(stop - position, size) - first))
            position += size
        found = pa.concat_tables(tables).to_pylist() if tables else []
        for row in found:
            row["audio"] = row["audio"]["path"] if row["audio"] else None
        return found

    def column_chunks(self, *names: str) -> Iterator[pa.RecordBatch]:
        """The columns `names`, a piece at a time."""
        yield from pq.ParquetFile(self.folder / ROWS).iter_batches(batch_size=ROW_GROUP * 16, columns=list(names))


def row_features(label_names: tuple[str, ...]) -> Any:
    """The `datasets.Features` of prepared rows."""
    from datasets import Audio, ClassLabel, Features, Value

    strings = ("text", "raw_label", "speaker", "session", "corpus", "language", "partition", "fold")
    numbers = ("duration", "valence", "arousal", "dominance")
    return Features(
        {
            "id": Value("string"),
            "audio": Audio(decode=False),
            "label": ClassLabel(names=list(label_names)),
            **{name: Value("string") for name in strings},
            **{name: Value("float64") for name in numbers},
        }
    )


def require_writable(folder: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """`folder`, made where it is missing.

    Raises:
        ValueError: where it holds a prepared corpus and `overwrite` is false, or cannot be written.
    """
    target = Path(folder)
    if (target / STORY).exists() and not overwrite:
        raise ValueError(f"{str(target)!r} holds a prepared corpus; give another folder, or --overwrite")
    try:
        target.mkdir(parents=True, exist_ok=True)
        probe = target / f".{STORY}.{os.getpid()}.tmp"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"{str(target)!r} cannot be written: {error}; wanted a folder that can be") from error
    return target


def write_prepared(corpus: Corpus, folder: str | os.PathLike[str], overwrite: bool = False) -> PreparedCorpus:
    """Write `corpus` to `folder`, so that `datasets.load_dataset(folder)` reads it too.

    Raises:
        ValueError: where the folder holds a prepared corpus and `overwrite` is false, or cannot be written.
    """
    target = require_writable(folder, overwrite)
    rows = corpus.utterances
    columns: dict[str, Any] = {
        name: [getattr(row, name) for row in rows]
        for name in ("id", "text", "raw_label", "speaker", "session", "language", "partition", "fold")
    }
    for name in ("valence", "arousal", "dominance"):
        columns[name] = [getattr(row, name) for row in rows]
    columns["audio"] = [
        None if row.audio is None else {"bytes": None, "path": str(row.audio.resolve())} for row in rows
    ]
    columns["label"] = corpus.labels
    columns["corpus"] = [corpus.name] * len(rows)
    columns["duration"] = corpus.durations
    schema = row_features(corpus.label_names).arrow_schema
    table = pa.Table.from_pydict({name: columns[name] for name in schema.names}, schema=schema)
    story = {
        "corpus": corpus.name,
        "rows": len(corpus),
        "label_names": list(corpus.label_names),
        "label_map": corpus.label_map,
        "counts": corpus.counts(),
        "protocol": corpus.protocol,
        "dropped": dict(corpus.dropped),
        "findings": corpus.findings,
        "details": corpus.details,
    }
    # The story goes last: a folder that has it is complete.
    (target / STORY).unlink(missing_ok=True)
    temporary = target / f".{ROWS}.{os.getpid()}.tmp"
    pq.write_table(table, temporary, row_group_size=ROW_GROUP)
    temporary.replace(target / ROWS)
    temporary = target / f".{STORY}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(story, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(target / STORY)
    return PreparedCorpus(target, story)


def read_prepared(folder: str | os.PathLike[str]) -> PreparedCorpus:
    """The prepared corpus in `folder`.

    Raises:
        ValueError: where there is none.
    """
    target = Path(folder)
    if not (target / STORY).is_file() or not (target / ROWS).is_file():
        raise ValueError(f"{str(target)!r} holds no prepared corpus ({STORY} and {ROWS}); run `mise-hf prepare` first")
    return PreparedCorpus(target, json.loads((target / STORY).read_text(encoding="utf-8")))
