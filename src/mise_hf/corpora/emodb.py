"""EmoDB, the Berlin Database of Emotional Speech (Burkhardt et al., 2005): 535 acted utterances, 10 speakers, German.

The file name says it all: speaker (2 digits), sentence (3 characters), emotion (1 letter, German), take (1 letter).
"""

import re
from pathlib import Path

from mise_hf.corpora.acted import named_utterances
from mise_hf.corpora.assemble import Official, Reading, choose_labels, require_folder

SCHEMES = {
    "all": {
        "W": "anger",
        "L": "boredom",
        "E": "disgust",
        "A": "fear",
        "F": "happiness",
        "T": "sadness",
        "N": "neutral",
    },
    "4": {"W": "anger", "F": "happiness", "T": "sadness", "N": "neutral"},
}
COUNTS = {
    "anger": 127,
    "boredom": 81,
    "disgust": 46,
    "fear": 69,
    "happiness": 71,
    "sadness": 62,
    "neutral": 79,
}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
NAME = re.compile(r"(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[A-Z])(?P<take>[a-z]?)")


def read(root: Path, labels: str | None = None) -> Reading:
    """EmoDB under `root`: the official `wav/` folder, or audio files of any format lying flat.

    Args:
        root: of the release.
        labels: "all" (7 emotions, the default) or "4".

    Raises:
        ValueError: for a folder without EmoDB's files, or unknown labels.
    """
    label_map = choose_labels("emodb", SCHEMES, labels)
    require_folder(root)
    folder = root / "wav" if (root / "wav").is_dir() else root
    utterances = named_utterances(
        folder.iterdir(),
        NAME,
        SENTENCES,
        "de",
        f"{str(folder)!r} holds no file named as EmoDB's (03a01Fa.wav); wanted the root of the release",
    )
    chosen = set(label_map.values())
    return Reading(
        name="emodb",
        utterances=utterances,
        label_map=label_map,
        protocol="leave one speaker out (no official partition)",
        official=Official(535, {name: count for name, count in COUNTS.items() if name in chosen}),
    )
