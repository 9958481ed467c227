"""CREMA-D (Cao et al., 2014): 7,442 acted clips, 91 actors, 12 sentences, English.

File names are actor, sentence, emotion and intensity: AudioWAV/1001_DFA_ANG_XX.wav. The label is the acted emotion.
"""

import re
from pathlib import Path

from mise_hf.corpora.acted import named_utterances
from mise_hf.corpora.assemble import Official, Reading, choose_labels, require_folder

SCHEMES = {
    "all": {
        "ANG": "anger",
        "DIS": "disgust",
        "FEA": "fear",
        "HAP": "happiness",
        "NEU": "neutral",
        "SAD": "sadness",
    },
    "4": {"ANG": "anger", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"},
}
SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
NAME = re.compile(r"(?P<speaker>1\d{3})_(?P<sentence>[A-Z]{3})_(?P<emotion>[A-Z]{3})_[A-Z]{1,2}")


def read(root: Path, labels: str | None = None) -> Reading:
    """CREMA-D under `root`: the official `AudioWAV` (or `AudioMP3`) folder, or the files lying flat.

    Args:
        root: of the release.
        labels: "all" (6 emotions, the default) or "4".

    Raises:
        ValueError: for a folder without CREMA-D's files, or unknown labels.
    """
    label_map = choose_labels("crema-d", SCHEMES, labels)
    require_folder(root)
    folder = next((root / name for name in ("AudioWAV", "AudioMP3") if (root / name).is_dir()), root)
    utterances = named_utterances(
        folder.iterdir(),
        NAME,
        SENTENCES,
        "en",
        f"{str(folder)!r} holds no file named as CREMA-D's (1001_DFA_ANG_XX.wav); wanted the root of the release",
    )
    return Reading(
        name="crema-d",
        utterances=utterances,
        label_map=label_map,
        protocol="leave actors out (no official partition)",
        official=Official(7442, {name: 1087 if name == "neutral" else 1271 for name in label_map.values()}),
    )
