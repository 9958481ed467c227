"""Guards against leaks: partitions that share people, audio that comes twice, sentences that come in train and test."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mise_hf.corpora.utterance import Utterance

# Speaker ids that stand for many people.
UNKNOWN_SPEAKERS = frozenset({"", "unknown"})
# Findings of one kind that are told one by one.
SHOWN = 20


@dataclass
class Duplicates:
    """Byte-identical audio: what to report, and the ids of those copies that lie across a split from the first."""

    findings: list[str] = field(default_factory=list)
    redundant: set[str] = field(default_factory=set)


def require_disjoint(corpus: str, utterances: Iterable[Utterance], speakers_may_overlap: bool = False) -> list[str]:
    """Check that no speaker and no session is in two official partitions.

    Args:
        corpus: its name, for the message.
        utterances: with their `partition`; those without one are passed over.
        speakers_may_overlap: whether shared speakers are the corpus's own design; then they are reported.

    Returns:
        What to report, one line each.

    Raises:
        ValueError: naming speakers or sessions and the partitions they are in.
    """
    findings = []
    rows = [row for row in utterances if row.partition]
    for kind in ("speaker", "session"):
        partitions: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            name = getattr(row, kind)
            if name.lower() not in UNKNOWN_SPEAKERS:
                partitions[name].add(row.partition)
        shared = {name: sorted(found) for name, found in partitions.items() if len(found) > 1}
        if not shared:
            continue
        examples = ", ".join(f"{name} in {' and '.join(found)}" for name, found in sorted(shared.items())[:3])
        message = f"{len(shared)} {kind}s of {corpus} are in two partitions ({examples})"
        if kind == "session" or not speakers_may_overlap:
            raise ValueError(f"{message}; wanted each {kind} in one partition only")
        findings.append(f"{message}: the official partitions are not speaker-independent")
    return findings


def find_duplicates(utterances: Sequence[Utterance]) -> Duplicates:
    """Byte-identical audio files. Of copies on two sides of a split (partition, fold or speaker) the first stays.

    Only files of equal size are read.
    """
    by_size: dict[int, list[Utterance]] = defaultdict(list)
    for row in utterances:
        if row.audio is not None:
            by_size[row.audio.stat().st_size].append(row)
    result = Duplicates()
    for rows in by_size.values():
        if len(rows) < 2:
            continue
        by_content: dict[str, list[Utterance]] = defaultdict(list)
        for row in rows:
            if row.audio is not None:
                by_content[_digest(row.audio)].append(row)
        for first, *copies in by_content.values():
            for copy in copies:
                result.findings.append(_describe(first, copy))
                if _side(first) != _side(copy):
                    result.redundant.add(copy.id)
    more = len(result.findings) - SHOWN
    if more > 0:
        result.findings[SHOWN:] = [f"and {more} more byte-identical copies, {len(result.redundant)} dropped in all"]
    return result


def find_shared_texts(utterances: Iterable[Utterance]) -> list[str]:
    """Sentences that come on two sides of a split, in one line; nothing where no sentence does."""
    sides: dict[str, set[str]] = defaultdict(set)
    for row in utterances:
        if row.text:
            sides[row.text.casefold().strip()].add(row.partition or row.fold)
    shared = sum(len(found) > 1 for found in sides.values())
    if not shared:
        return []
    return [
        f"{shared} of {len(sides)} distinct sentences come in more than one fold or partition: what is conditioned on "
        "text has read the test's sentences"
    ]


def _side(row: Utterance) -> tuple[str, str, str]:
    return row.partition, row.fold, row.speaker


def _describe(first: Utterance, copy: Utterance) -> str:
    line = f"{copy.id} is byte-identical to {first.id}"
    if first.raw_label != copy.raw_label:
        line += f", and yet one is labelled {first.raw_label!r} and the other {copy.raw_label!r}"
    return line + (
        "; both are kept, on the same side of every split"
        if _side(first) == _side(copy)
        else f"; it is dropped, being on the other side of a split ({first.speaker!r} and {copy.speaker!r})"
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
