"""MSP-Podcast (Lotfian and Busso, 2019): spontaneous speech from podcasts, English, with official partitions.

Labels/labels_consensus.csv   FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
Audios/MSP-PODCAST_0001_0008.wav (Audio/ in some releases)
Transcripts/MSP-PODCAST_0001_0008.txt
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from mise_hf.corpora.assemble import Reading, choose_labels, require_folder
from mise_hf.corpora.utterance import Utterance

SCHEMES = {
    "8": {
        "A": "anger",
        "S": "sadness",
        "H": "happiness",
        "U": "surprise",
        "F": "fear",
        "D": "disgust",
        "C": "contempt",
        "N": "neutral",
    },
    "4": {"A": "anger", "S": "sadness", "H": "happiness", "N": "neutral"},
}
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Split_Set")


def read(root: Path, labels: str | None = None, release: str | None = None, test: str | None = None) -> Reading:
    """MSP-Podcast under `root`.

    Args:
        root: of one release.
        labels: "8" (the default) or "4"; other (O) and no agreement (X) are dropped.
        release: its number, e.g. "1.11": recorded, for the counts differ from release to release. By default what the
            folder's name tells.
        test: only this test partition, e.g. "Test1"; all by default.

    Raises:
        ValueError: for a folder without the release's layout, unknown labels, or a test partition that is not there.
    """
    label_map = choose_labels("msp-podcast", SCHEMES, labels)
    table = root / "Labels" / "labels_consensus.csv"
    require_folder(root, "Labels/labels_consensus.csv")
    rows = list(_rows(table))
    partitions = sorted({row["Split_Set"] for row in rows})
    if test is not None and test not in partitions:
        raise ValueError(f"the test partition {test!r} is not in {str(table)!r}; wanted one of {', '.join(partitions)}")
    if test is not None:
        rows = [row for row in rows if not row["Split_Set"].startswith("Test") or row["Split_Set"] == test]
    return Reading(
        name="msp-podcast",
        utterances=_turns(root, rows),
        label_map=label_map,
        protocol=f"official partitions: {', '.join(partitions if test is None else ['Train', 'Development', test])}",
        details={
            "release": release or _release(root),
            "classes": len(set(label_map.values())),
            "turns": {name: sum(row["Split_Set"] == name for row in rows) for name in partitions},
        },
    )


def _rows(table: Path) -> Iterator[dict[str, str]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{str(table)!r} lacks the columns {missing}; it has {reader.fieldnames}")
        for row in reader:
            yield {name: (row[name] or "").strip() for name in COLUMNS}


def _turns(root: Path, rows: list[dict[str, str]]) -> Iterator[Utterance]:
    folder = root / "Audios" if (root / "Audios").is_dir() else root / "Audio"
    for row in rows:
        name = Path(row["FileName"]).stem
        transcript = root / "Transcripts" / f"{name}.txt"
        yield Utterance(
            id=name,
            audio=folder / row["FileName"],
            raw_label=row["EmoClass"],
            text=transcript.read_text("utf-8", "replace").strip() if transcript.is_file() else "",
            speaker=row["SpkrID"],
            language="en",
            partition=row["Split_Set"],
            valence=_number(row["EmoVal"]),
            arousal=_number(row["EmoAct"]),
            dominance=_number(row["EmoDom"]),
        )


def _number(text: str) -> float | None:
    return float(text) if text and text.lower() != "nan" else None


def _release(root: Path) -> str:
    """The number in a folder's name such as MSP-PODCAST-Publish-1.11."""
    name = root.resolve().name
    number = name.rpartition("-")[2]
    return number if number.replace(".", "").isdigit() else "unknown"
