"""Corpus folders with the official names and file formats and short real audio, for corpora that cannot be carried."""

import struct
import zlib
from itertools import count
from pathlib import Path

RATE = 16000
# Raw labels of the full IEMOCAP release.
IEMOCAP_LABELS = {
    "neu": 1708,
    "hap": 595,
    "exc": 1041,
    "ang": 1103,
    "sad": 1084,
    "fru": 1849,
    "fea": 40,
    "sur": 107,
    "dis": 2,
    "oth": 3,
    "xxx": 2507,
}


def wav_bytes(name: str, samples: int = 160) -> bytes:
    """A 16-bit mono RIFF file, of other bytes for every path."""
    seed = zlib.crc32(name.encode()).to_bytes(4, "little")
    data = (seed * (samples // 2 + 1))[: 2 * samples]
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    return header + struct.pack("<4sI", b"data", len(data)) + data


def write_wav(path: Path, samples: int = 160) -> None:
    """A short wav file, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_bytes(str(path), samples))


def iemocap(root: Path, labels: dict[str, int], newline: str = "\n") -> None:
    """Five sessions with `labels` (raw label to number of turns), 50 turns a dialog, as the release writes them."""
    raw = [label for label, number in labels.items() for _ in range(number)]
    # Deal the labels over sessions and dialogs, a fixed order that mixes them.
    raw = [raw[place] for place in sorted(range(len(raw)), key=lambda place: zlib.crc32(str(place).encode()))]
    turns = iter(raw)
    number = count()
    per_session = -(-len(raw) // 5)
    for session in range(1, 6):
        left = min(per_session, len(raw) - per_session * (session - 1))
        while left > 0:
            dialog = f"Ses0{session}{'FM'[left % 2]}_impro{next(number):03d}"
            size = min(50, left)
            left -= size
            _iemocap_dialog(root / f"Session{session}", dialog, [next(turns) for _ in range(size)], newline)


def _iemocap_dialog(session: Path, dialog: str, labels: list[str], newline: str) -> None:
    evaluation = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    transcripts = []
    for place, label in enumerate(labels):
        turn = f"{dialog}_{'FM'[place % 2]}{place // 2:03d}"
        start, end = 6.2901 + place, 7.2357 + place
        evaluation += [
            f"[{start:.4f} - {end:.4f}]\t{turn}\t{label}\t[2.5000, {2 + place % 3:.4f}, 3.0000]",
            "C-E2:\tNeutral;\t()",
            "C-F1:\tNeutral; Anger;\t(curious [2.5, 2.5, 2.5])",
            "A-E3:\tval 3; act 2; dom  2;\t()",
            "A-M1:\tval 2; act 3; dom  ;\t(mildly aggravated)",
            "",
        ]
        if place % 10 != 9:
            transcripts.append(f"{turn} [{start:08.4f}-{end:08.4f}]: Sentence {dialog} {place}.")
        transcripts.append("M: [LAUGHTER]")
        write_wav(session / "sentences" / "wav" / dialog / f"{turn}.wav")
    for folder, lines in (("EmoEvaluation", evaluation), ("transcriptions", transcripts)):
        path = session / "dialog" / folder / f"{dialog}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((newline.join(lines) + newline).encode())
    # What macOS left in the release.
    (session / "dialog" / "EmoEvaluation" / f"._{dialog}.txt").write_bytes(b"\x00\x05\x16\x07\x00\xff")


def msp_improv(root: Path, labels: dict[str, int], newline: str = "\r\n", transcripts: bool = True) -> None:
    """Six sessions with `labels` (letter to number of turns), the evaluation file as the release spells it."""
    raw = [letter for letter, number in labels.items() for _ in range(number)]
    lines = []
    for place, letter in enumerate(raw):
        session = place % 6 + 1
        sex = "FM"[place // 6 % 2]
        name = f"S{place // 12 % 20 + 1:02d}{'AHSN'[place % 4]}-{sex}0{session}-{'PRST'[place // 4 % 4]}-FM{place:04d}"
        dominance = "NaN" if place % 7 == 0 else "3.200000"
        lines += [
            f"UTD-IMPROV-{name}.avi; {letter}; A:3.500000; V:3.166667; D:{dominance} ; N:3.400000;",
            "WQ8Y-1; Neutral; Neutral,Other (tired; bored); A:3.0; V:3.0; D:3.0; N:3.0;",
            "",
        ]
        folder = root / "Audio" / f"session{session}" / name[:4] / name[9]
        write_wav(folder / f"MSP-IMPROV-{name}.wav")
        if transcripts and place % 5:
            text = root / "All_human_transcriptions" / f"MSP-IMPROV-{name}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_bytes(f"Sentence {place}.{newline}".encode())
    (root / "Evalution.txt").write_bytes((newline.join(lines) + newline).encode())


def msp_podcast(root: Path, partitions: dict[str, int]) -> None:
    """One release with `partitions` (name to number of turns); emotion classes go round A S H U F D C N O X."""
    lines = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    place = 0
    for partition, number in partitions.items():
        for _ in range(number):
            name = f"MSP-PODCAST_{place // 50:04d}_{place:04d}"
            speaker = "Unknown" if place % 9 == 0 else f"{partition[-2:]}{place % 4}"
            lines.append(f"{name}.wav,{'ASHUFDCNOX'[place % 10]},4.2,3.8,4.0,{speaker},Female,{partition}")
            write_wav(root / "Audios" / f"{name}.wav")
            if place % 3:
                text = root / "Transcripts" / f"{name}.txt"
                text.parent.mkdir(parents=True, exist_ok=True)
                text.write_text(f"Well, sentence {place}.\n", encoding="utf-8")
            place += 1
    (root / "Labels").mkdir(parents=True)
    (root / "Labels" / "labels_consensus.csv").write_bytes(("\r\n".join(lines) + "\r\n").encode("utf-8-sig"))
