"""Any corpus with a manifest: CSV, TSV, JSONL or Parquet, one row an utterance, audio paths relative to its folder."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mise_hf.corpora.assemble import Reading
from mise_hf.corpora.columns import choose_columns, identity_map, to_utterance


def read(
    root: Path,
    columns: Mapping[str, str] | None = None,
    label_map: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Reading:
    """The corpus that the file `root` lists.

    Args:
        root: .csv, .tsv, .jsonl or .parquet.
        columns: field to column, for columns that are not called as the fields (`mise_hf.corpora.columns.KNOWN`).
        label_map: label to the name it shall have; others are dropped. By default every label stays as it is.
        name: of the corpus; by default the file's.

    Raises:
        ValueError: for a file that is missing, of another kind, empty, or without the columns that are needed.
    """
    rows = _rows(root)
    if not rows:
        raise ValueError(f"{str(root)!r} has no row")
    present: dict[str, None] = {}
    for row in rows:
        present.update(dict.fromkeys(row))
    chosen = choose_columns(list(present), columns, repr(str(root)))
    utterances = [to_utterance(row, chosen, number, root.parent) for number, row in enumerate(rows, start=1)]
    partitioned = any(row.partition for row in utterances)
    return Reading(
        name=name or root.stem,
        utterances=utterances,
        label_map=identity_map(label_map, {row.raw_label for row in utterances}),
        protocol="the manifest's partitions" if partitioned else "leave speakers out (no official partition)",
        details={"columns": chosen},
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise ValueError(f"{str(path)!r} is no file; wanted a manifest (.csv, .tsv, .jsonl or .parquet)")
    kind = path.suffix.lower()
    try:
        if kind in (".csv", ".tsv"):
            return _table(path, "," if kind == ".csv" else "\t")
        if kind == ".jsonl":
            return _json_lines(path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} is not in UTF-8 ({error}); wanted it saved as UTF-8") from error
    if kind == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.read_table(path).to_pylist()
        except pa.ArrowInvalid as error:
            raise ValueError(f"{str(path)!r} is no Parquet file: {error}") from error
    raise ValueError(f"{str(path)!r} is of kind {kind!r}; wanted .csv, .tsv, .jsonl or .parquet")


def _table(path: Path, sign: str) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=sign, skipinitialspace=True)
        try:
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            rows = list(reader)
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num} of {str(path)!r} is no line of a table: {error}") from error
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise ValueError(
                f"row {number} of {str(path)!r} has {len(reader.fieldnames) + len(row[None])} fields; wanted "
                f"{len(reader.fieldnames)}: {', '.join(reader.fieldnames)} (put quotation marks round text with "
                f"{sign!r} in it)"
            )
    return rows


def _json_lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    # Not splitlines(): it also splits at U+2028 and U+0085, which may stand inside a transcript.
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number} of {str(path)!r} is no JSON: {error}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{str(path)!r} holds lines that are no JSON objects; wanted one object a line")
    return rows
