"""From a user's named columns to `Utterance` fields: which column is which, and values as they should be."""

import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mise_hf.corpora.utterance import Utterance

# Field to the names that are understood without being told, the first that is there.
KNOWN = {
    "id": ("id", "utterance_id"),
    "audio": ("audio", "path", "file", "filename", "file_name"),
    "label": ("label", "emotion", "raw_label"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "speaker": ("speaker", "speaker_id"),
    "session": ("session", "dialogue"),
    "language": ("language", "lang"),
    "partition": ("partition", "split"),
    "fold": ("fold",),
    "valence": ("valence",),
    "arousal": ("arousal", "activation"),
    "dominance": ("dominance",),
}
NUMBERS = ("valence", "arousal", "dominance")


def choose_columns(present: Collection[str], told: Mapping[str, str] | None, where: str) -> dict[str, str]:
    """Field to column, from what the user tells and what is understood without.

    Raises:
        ValueError: for an unknown field, a column that is not there, or no column for label and neither audio nor text.
    """
    aliases = {name: field for field, names in KNOWN.items() for name in names}
    unknown = sorted(set(told or {}) - set(aliases))
    if unknown:
        raise ValueError(f"unknown fields {unknown}; wanted some of {', '.join(KNOWN)}")
    told, given = {aliases[name]: column for name, column in (told or {}).items()}, len(told or {})
    if len(told) < given:
        raise ValueError(f"a field of {', '.join(told)} is given under two names; wanted each once")
    absent = sorted(column for column in told.values() if column not in present)
    if absent:
        raise ValueError(f"{where} has no column {', '.join(absent)}; it has {', '.join(present)}")
    chosen = dict(told)
    for name, candidates in KNOWN.items():
        found = next((column for column in candidates if column in present), None)
        if name not in chosen and found is not None:
            chosen[name] = found
    if "label" not in chosen or not {"audio", "text"} & set(chosen):
        raise ValueError(
            f"{where} has the columns {', '.join(present)}; wanted a label, and audio or text: name them, e.g. "
            "--column label=EMOTION --column audio=WAV"
        )
    return chosen


def to_utterance(row: Mapping[str, Any], columns: Mapping[str, str], number: int, folder: Path) -> Utterance:
    """Row `number` of a table as an utterance; relative audio paths count from `folder`.

    Raises:
        ValueError: for a valence, arousal or dominance that is no number, or audio that is no path.
    """
    values = {name: row.get(column) for name, column in columns.items()}
    audio = _path(values.get("audio"), number)
    path = folder / audio if audio else None
    numbers = {}
    for name in NUMBERS:
        value = values.get(name)
        try:
            number_or_none = None if value is None or value == "" else float(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"row {number} has {name} {value!r}; wanted a number") from error
        numbers[name] = None if number_or_none is None or math.isnan(number_or_none) else number_or_none
    return Utterance(
        id=_text(values.get("id")) or (audio if audio else str(number)),
        audio=path,
        raw_label=_text(values.get("label")),
        text=_text(values.get("text")),
        speaker=_text(values.get("speaker")),
        session=_text(values.get("session")),
        language=_text(values.get("language")),
        partition=_text(values.get("partition")),
        fold=_text(values.get("fold")),
        valence=numbers["valence"],
        arousal=numbers["arousal"],
        dominance=numbers["dominance"],
    )


def identity_map(label_map: Mapping[str, str] | None, found: Collection[str]) -> dict[str, str]:
    """The user's label map, or every label that was found under its own name."""
    return dict(label_map) if label_map else {name: name for name in sorted(found) if name}


def parse_pairs(pairs: Collection[str] | None, flag: str) -> dict[str, str]:
    """`["a=b", ...]` as a dictionary.

    Raises:
        ValueError: for an entry without "=".
    """
    result = {}
    for pair in pairs or ():
        left, sign, right = pair.partition("=")
        if not sign or not left or not right:
            raise ValueError(f"{flag} is {pair!r}; wanted NAME=NAME")
        result[left] = right
    return result


def speaker_of(pattern: str | None, name: str) -> str:
    """What the group `speaker` (or the first group) of `pattern` finds in a file name, "" without a pattern.

    Raises:
        ValueError: for a pattern without a group, or a name in which it finds nothing.
    """
    if pattern is None:
        return ""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the speaker pattern {pattern!r} is no regular expression: {error}") from error
    if compiled.groups == 0:
        raise ValueError(f"the speaker pattern {pattern!r} has no group; wanted one, e.g. '^(\\d+)_'")
    match = compiled.search(name)
    if match is None:
        raise ValueError(f"the speaker pattern {pattern!r} finds nothing in {name!r}")
    return match["speaker"] if "speaker" in compiled.groupindex else match[1]


def _path(value: Any, number: int) -> str:
    """An audio path; `datasets` keeps it in a mapping beside the bytes."""
    if isinstance(value, Mapping):
        if not value.get("path") or value.get("bytes"):
            raise ValueError(f"row {number} keeps its audio as bytes; wanted a path: read it as the corpus `dataset`")
        value = value["path"]
    return _text(value)


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()
