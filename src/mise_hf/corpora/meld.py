"""MELD (Poria et al., 2019): 13,708 utterances of a television series, English, with official partitions.

    train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv   Utterance,Speaker,Emotion,...,Dialogue_ID,Utterance_ID,...
    train_splits/dia0_utt0.mp4, dev_splits_complete/, output_repeated_splits_test/

The release holds video. Audio is looked for as wav, flac or mp3 of the same name in the same folders:
    for f in */dia*.mp4; do ffmpeg -i "$f" -vn -ac 1 -ar 16000 "${f%.mp4}.wav"; done
The partitions share their speakers (the six friends), by the corpus's own design.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from mise_hf.corpora.assemble import Official, Reading, choose_labels, require_folder
from mise_hf.corpora.utterance import Utterance

SCHEMES = {
    "all": {
        "anger": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "joy": "happiness",
        "neutral": "neutral",
        "sadness": "sadness",
        "surprise": "surprise",
    },
    "4": {"anger": "anger", "joy": "happiness", "neutral": "neutral", "sadness": "sadness"},
}
COUNTS = {
    "anger": 1607,
    "disgust": 361,
    "fear": 358,
    "happiness": 2308,
    "neutral": 6436,
    "sadness": 1002,
    "surprise": 1636,
}
PARTITIONS = {
    "train": ("train_sent_emo.csv", "train_splits"),
    "development": ("dev_sent_emo.csv", "dev_splits_complete"),
    "test": ("test_sent_emo.csv", "output_repeated_splits_test"),
}
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
AUDIO = (".wav", ".flac", ".mp3")
# Quotation marks and dashes of cp1252 that some copies of the tables hold as control characters.
CONTROLS = {code: bytes([code]).decode("cp1252", "replace") for code in range(0x80, 0xA0)}


def read(root: Path, labels: str | None = None) -> Reading:
    """MELD under `root`; with `--text-only` the three tables are enough.

    Args:
        root: holds the three tables, and the audio folders beside them.
        labels: "all" (7 emotions, the default) or "4".

    Raises:
        ValueError: for a folder without the tables, or unknown labels.
    """
    label_map = choose_labels("meld", SCHEMES, labels)
    require_folder(root)
    for table, _ in PARTITIONS.values():
        require_folder(root, table)
    chosen = set(label_map.values())
    return Reading(
        name="meld",
        utterances=_utterances(root),
        label_map=label_map,
        protocol="official partitions: train, development, test",
        official=Official(sum(COUNTS.values()), {name: count for name, count in COUNTS.items() if name in chosen}),
        speakers_may_overlap=True,
    )


def _utterances(root: Path) -> Iterator[Utterance]:
    for partition, (table, folder) in PARTITIONS.items():
        with (root / table).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{str(root / table)!r} lacks the columns {missing}; it has {reader.fieldnames}")
            for row in reader:
                name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
                files = [root / folder / f"{name}{suffix}" for suffix in AUDIO]
                yield Utterance(
                    id=f"{partition}_{name}",
                    audio=next((path for path in files if path.is_file()), files[0]),
                    raw_label=row["Emotion"].strip().lower(),
                    text=row["Utterance"].translate(CONTROLS).strip(),
                    speaker=row["Speaker"].strip(),
                    session=f"{partition}_dia{row['Dialogue_ID']}",
                    language="en",
                    partition=partition,
                )
