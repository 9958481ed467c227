"""What every reader gives: `Utterance` rows and the `Corpus` that holds them with the story of how they were chosen."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled utterance, its audio undecoded.

    Attributes:
        id: distinct within the corpus.
        audio: file, or None for a corpus of text only.
        text: transcript, "" where there is none.
        raw_label: the emotion as the corpus writes it.
        speaker: "" where unknown.
        session: recording session or dialogue, "" where the corpus has none.
        language: two-letter code, "" where unknown.
        partition: "train", "development", "test", ... of the official partition, "" where there is none.
        fold: the fold of the corpus's cross-validation in which this utterance is tested, "" where there is none.
        valence: on the corpus's own scale, None where it has none.
        arousal: the same.
        dominance: the same.
    """

    id: str
    audio: Path | None
    raw_label: str
    text: str = ""
    speaker: str = ""
    session: str = ""
    language: str = ""
    partition: str = ""
    fold: str = ""
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None


@dataclass(frozen=True)
class Corpus:
    """The utterances of a corpus under one set of labels.

    Attributes:
        name: of the corpus.
        utterances: in a fixed order.
        labels: an index into `label_names` for each utterance.
        durations: seconds for each utterance, None where there is no audio.
        label_names: emotions.
        label_map: raw label to label name; raw labels that are missing here were dropped.
        protocol: how the corpus is evaluated, in words.
        dropped: reason to number of utterances.
        findings: what the guards and the comparison with the official counts have to report, one line each.
        details: what else is worth keeping (release, options).
    """

    name: str
    utterances: list[Utterance]
    labels: list[int]
    durations: list[float | None]
    label_names: tuple[str, ...]
    label_map: dict[str, str]
    protocol: str
    dropped: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.utterances)

    def counts(self) -> dict[str, int]:
        """Label name to number of utterances, in the order of `label_names`."""
        found = Counter(self.labels)
        return {name: found[index] for index, name in enumerate(self.label_names)}
