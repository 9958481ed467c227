"""RAVDESS speech (Livingstone and Russo, 2018): 1440 acted utterances, 24 actors, English.

File names are seven numbers: modality, vocal channel, emotion, intensity, statement, repetition, actor.
"""

import re
from pathlib import Path

from mise_hf.corpora.assemble import Official, Reading, choose_labels, require_folder
from mise_hf.corpora.utterance import Utterance

SCHEMES = {
    "all": {
        "01": "neutral",
        "02": "calm",
        "03": "happiness",
        "04": "sadness",
        "05": "anger",
        "06": "fear",
        "07": "disgust",
        "08": "surprise",
    },
    "4": {"01": "neutral", "03": "happiness", "04": "sadness", "05": "anger"},
}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
NAME = re.compile(r"03-(?P<channel>\d\d)-(?P<emotion>\d\d)-\d\d-(?P<statement>\d\d)-\d\d-(?P<actor>\d\d)")
SPEECH = "01"


def read(root: Path, labels: str | None = None) -> Reading:
    """RAVDESS under `root`: folders `Actor_01` to `Actor_24` (the official layout), speech only.

    Args:
        root: of the release.
        labels: "all" (8 emotions, the default) or "4".

    Raises:
        ValueError: for a folder without RAVDESS's files, or unknown labels.
    """
    label_map = choose_labels("ravdess", SCHEMES, labels)
    require_folder(root)
    utterances = []
    for path in sorted(root.glob("**/03-*")):
        match = NAME.fullmatch(path.stem)
        if match is None or match["channel"] != SPEECH:
            continue
        utterances.append(
            Utterance(
                id=path.stem,
                audio=path,
                raw_label=match["emotion"],
                text=STATEMENTS.get(match["statement"], ""),
                speaker=match["actor"],
                language="en",
                fold=match["actor"],
            )
        )
    if not utterances:
        raise ValueError(
            f"{str(root)!r} holds no speech file named as RAVDESS's (Actor_01/03-01-01-01-01-01-01.wav); wanted the "
            "root of the release"
        )
    counts = {name: 96 if name == "neutral" else 192 for name in label_map.values()}
    return Reading(
        name="ravdess",
        utterances=utterances,
        label_map=label_map,
        protocol="leave actors out (no official partition)",
        official=Official(1440, counts),
    )
