"""From what a reader found to a `Corpus`: labels, files, durations, official counts and guards, the same for all."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile

from mise_hf.corpora.guards import SHOWN, find_duplicates, find_shared_texts, require_disjoint
from mise_hf.corpora.utterance import Corpus, Utterance


@dataclass(frozen=True)
class Official:
    """What a complete release holds: `turns` before any label is dropped, and `counts` of label name under a scheme."""

    turns: int
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Reading:
    """What a reader found, before labels are chosen.

    Attributes:
        name: of the corpus.
        utterances: all of them, labelled or not.
        label_map: raw label to label name; other raw labels are dropped and counted.
        protocol: how the corpus is evaluated, in words.
        official: what a complete release holds under this label map, None where that is not known.
        speakers_may_overlap: whether the official partitions share speakers.
        dropped: reason to number of utterances that the reader itself had to leave out.
        details: what else is worth keeping.
    """

    name: str
    utterances: Iterable[Utterance]
    label_map: Mapping[str, str]
    protocol: str
    official: Official | None = None
    speakers_may_overlap: bool = False
    dropped: Counter[str] = field(default_factory=Counter)
    details: Mapping[str, Any] = field(default_factory=dict)


def choose_labels(corpus: str, schemes: Mapping[str, Mapping[str, str]], chosen: str | None) -> Mapping[str, str]:
    """The label map called `chosen` among `schemes`; the first where `chosen` is None.

    Raises:
        ValueError: for a name that is not there.
    """
    name = next(iter(schemes)) if chosen is None else chosen
    if name not in schemes:
        raise ValueError(f"labels {name!r} are unknown for {corpus}; wanted one of {', '.join(schemes)}")
    return schemes[name]


def require_folder(root: Path, *inside: str) -> None:
    """Raise where `root` is no folder, or has none of the paths `inside`.

    Raises:
        ValueError: naming the folder got and what was wanted in it.
    """
    if not root.is_dir():
        raise ValueError(f"{str(root)!r} is no folder; wanted the root of the corpus")
    if inside and not any((root / name).exists() for name in inside):
        raise ValueError(f"{str(root)!r} holds none of {', '.join(inside)}; wanted the root of the release")


def assemble(reading: Reading) -> Corpus:
    """Choose labels, find files, measure durations (from the header), and put the guards to work.

    Raises:
        ValueError: for repeated ids, nothing left, a complete release with other than the official counts, or a
            speaker or session in two partitions.
    """
    label_names = tuple(sorted(set(reading.label_map.values())))
    dropped = Counter(reading.dropped)
    kept: list[Utterance] = []
    durations: list[float | None] = []
    seen: set[str] = set()
    turns = sum(dropped.values())
    without_audio: list[str] = []
    for utterance in reading.utterances:
        turns += 1
        if utterance.id in seen:
            raise ValueError(f"the id {utterance.id!r} comes twice in {reading.name}; wanted distinct ids")
        seen.add(utterance.id)
        if utterance.raw_label not in reading.label_map:
            label = f"label {utterance.raw_label!r} is not among the chosen ones" if utterance.raw_label else "no label"
            dropped[label] += 1
            continue
        seconds = None
        if utterance.audio is not None:
            seconds, reason = _seconds(utterance.audio)
            if reason:
                dropped[reason] += 1
                without_audio.append(utterance.id)
                continue
        kept.append(utterance)
        durations.append(seconds)
    if not kept:
        raise ValueError(
            f"no utterance of {reading.name} is left of {turns}; dropped: {dict(dropped)}; wanted labels among "
            f"{sorted(reading.label_map)} and files that exist (or text_only, where there is no audio)"
        )
    findings = require_disjoint(reading.name, kept, reading.speakers_may_overlap)
    duplicates = find_duplicates(kept)
    findings += duplicates.findings
    if duplicates.redundant:
        dropped["byte-identical to audio on the other side of a split"] += len(duplicates.redundant)
        durations = [
            seconds for row, seconds in zip(kept, durations, strict=True) if row.id not in duplicates.redundant
        ]
        kept = [row for row in kept if row.id not in duplicates.redundant]
    findings += find_shared_texts(kept)
    index = {name: position for position, name in enumerate(label_names)}
    corpus = Corpus(
        name=reading.name,
        utterances=kept,
        labels=[index[reading.label_map[row.raw_label]] for row in kept],
        durations=durations,
        label_names=label_names,
        label_map=dict(reading.label_map),
        protocol=reading.protocol,
        dropped=dropped,
        findings=findings,
        details=dict(reading.details),
    )
    if without_audio:
        more = len(without_audio) - SHOWN
        named = ", ".join(without_audio[:SHOWN]) + (f" and {more} more" if more > 0 else "")
        findings.append(f"dropped for their audio: {named}")
    findings += _compare_with_official(corpus, reading.official, turns - len(without_audio))
    return corpus


def _seconds(audio: Path) -> tuple[float | None, str]:
    """Duration in seconds, or None and why there is none. A file that does not decode is left to the extraction, which
    reports each by name; a missing one is the reader's affair."""
    try:
        str(audio).encode()
        size = audio.stat().st_size
    except UnicodeEncodeError:
        return None, "audio file has a name that is no UTF-8"
    except OSError:
        return None, "audio file is missing"
    if size == 0:
        return None, "audio file has no byte"
    try:
        return soundfile.info(audio).duration, ""
    except soundfile.LibsndfileError:
        return None, ""


def _compare_with_official(corpus: Corpus, official: Official | None, turns: int) -> list[str]:
    """The difference to the official counts, in words.

    Raises:
        ValueError: where the release is complete and the counts differ.
    """
    if official is None:
        return []
    found = corpus.counts()
    differences = [
        f"{name} {found.get(name, 0)} (official {count})"
        for name, count in official.counts.items()
        if found.get(name, 0) != count
    ]
    if turns == official.turns:
        if differences:
            raise ValueError(
                f"{corpus.name} is complete ({turns} turns) and yet its counts are not the official ones: "
                f"{', '.join(differences)}; dropped: {dict(corpus.dropped)}"
            )
        return [f"complete: {turns} turns, {len(corpus)} with the chosen labels, as in the official release"]
    return [
        f"not the complete release: {turns} turns of {official.turns}; "
        + (", ".join(differences) or "the label counts are the official ones")
    ]
