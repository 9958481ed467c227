"""RAVDESS speech (Livingstone and Russo, 2018): 1440 acted utterances, 24 actors, English.

File names are seven numbers: modality, vocal channel, emotion, intensity, statement, repetition, actor.
"""

import re
from pathlib import Path

from mise_hf.corpora.acted import named_utterances
from mise_hf.corpora.assemble import Official, Reading, choose_labels, require_folder

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
# Audio only (03) of speech (01); the release also has video and song.
NAME = re.compile(r"03-01-(?P<emotion>\d\d)-\d\d-(?P<sentence>\d\d)-\d\d-(?P<speaker>\d\d)")


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
    utterances = named_utterances(
        root.glob("**/03-*"),
        NAME,
        STATEMENTS,
        "en",
        f"{str(root)!r} holds no speech file named as RAVDESS's (Actor_01/03-01-01-01-01-01-01.wav); wanted the root "
        "of the release",
    )
    counts = {name: 96 if name == "neutral" else 192 for name in label_map.values()}
    return Reading(
        name="ravdess",
        utterances=utterances,
        label_map=label_map,
        protocol="leave actors out (no official partition)",
        official=Official(1440, counts),
    )
