"""MSP-IMPROV (Busso et al., 2017): 8,438 turns, 6 sessions of two actors, English.

    Evalution.txt (so spelt in the release; Evaluation.txt in others): for each turn a summary line
        UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:3.500000; V:3.166667; D:3.000000 ; N:3.200000;
        and below it a line for each annotator, which are not read
    Audio/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav (or session1/... beside the evaluation file)
    transcripts, where the release has them, as one .txt a turn in some folder

The name tells the sentence and its target emotion (S01A), the speaker and session (F01), the scenario (P, R, S or T).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mise_hf.corpora.assemble import Official, Reading, choose_labels, require_folder
from mise_hf.corpora.utterance import Utterance

SCHEMES = {
    "4": {"A": "anger", "H": "happiness", "S": "sadness", "N": "neutral"},
    "all": {"A": "anger", "H": "happiness", "S": "sadness", "N": "neutral", "O": "other"},
}
TURNS = 8438
COUNTS = {"anger": 792, "happiness": 2644, "sadness": 885, "neutral": 3477}
EVALUATIONS = ("Evalution.txt", "Evaluation.txt")
VALUE = r"\s*([\d.]+|NaN)\s*"
SUMMARY = re.compile(
    rf"(?:UTD|MSP)-IMPROV-(?P<turn>[A-Z0-9-]+)\.avi\s*;\s*(?P<label>[A-Z])\s*;\s*A:{VALUE};\s*V:{VALUE};\s*D:{VALUE};.*"
)
TURN = re.compile(r"S\d\d[AHSN]-(?P<speaker>[FM](?P<session>\d\d))-[A-Z]-[A-Z]{2}\d+")


def read(root: Path, labels: str | None = None) -> Reading:
    """MSP-IMPROV under `root`.

    Args:
        root: holds the evaluation file and the audio, at any depth.
        labels: "4" (anger, happiness, sadness, neutral; 7798 turns; the default) or "all" (with other). Turns without
            agreement are dropped.

    Raises:
        ValueError: for a folder without the evaluation file or audio, or unknown labels.
    """
    label_map = choose_labels("msp-improv", SCHEMES, labels)
    require_folder(root)
    evaluation = next((found for name in EVALUATIONS for found in sorted(root.rglob(name))), None)
    if evaluation is None:
        raise ValueError(f"{str(root)!r} holds no {' or '.join(EVALUATIONS)}; wanted the root of the release")
    return Reading(
        name="msp-improv",
        utterances=_turns(root, evaluation),
        label_map=label_map,
        protocol="leave one session out, 6 folds",
        official=Official(TURNS, COUNTS),
    )


def _turns(root: Path, evaluation: Path) -> Iterator[Utterance]:
    audio = {_key(path): path for path in _files(root, "wav")}
    if not audio:
        raise ValueError(f"{str(root)!r} holds no MSP-IMPROV-*.wav; wanted the root of the release")
    texts = {_key(path): path for path in _files(root, "txt")}
    # A turn that is listed again counts with its last line, as in the published recipes.
    lines = {}
    for line in evaluation.read_text(encoding="utf-8", errors="replace").splitlines():
        found = SUMMARY.fullmatch(line.strip())
        if found is not None:
            lines[found["turn"]] = found
    for name, found in lines.items():
        turn = TURN.fullmatch(name)
        if turn is None:
            raise ValueError(f"{str(evaluation)!r} has a turn {name!r}; wanted one as S01A-F01-P-FM01")
        arousal, valence, dominance = (_number(found[group]) for group in (3, 4, 5))
        session = f"session{int(turn['session'])}"
        yield Utterance(
            id=f"MSP-IMPROV-{name}",
            audio=audio.get(name, root / f"MSP-IMPROV-{name}.wav"),
            raw_label=found["label"],
            text=texts[name].read_text("utf-8", "replace").strip() if name in texts else "",
            speaker=turn["speaker"],
            session=session,
            language="en",
            fold=session,
            valence=valence,
            arousal=arousal,
            dominance=dominance,
        )


def _files(root: Path, suffix: str) -> list[Path]:
    return sorted(path for path in root.rglob(f"*-IMPROV-*.{suffix}") if not path.name.startswith("._"))


def _key(path: Path) -> str:
    return path.stem.partition("-IMPROV-")[2]


def _number(text: str) -> float | None:
    return None if text == "NaN" else float(text)
