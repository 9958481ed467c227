"""IEMOCAP (Busso et al., 2008): 10,039 turns, 5 sessions of two actors, English; the full release.

    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt
        [6.2901 - 8.2357]<tab>Ses01F_impro01_F000<tab>neu<tab>[2.5000, 2.5000, 2.5000]
    Session1/dialog/transcriptions/Ses01F_impro01.txt
        Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav

The evaluation files also hold a line for each annotator; only the summary lines, with the majority label, are read.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mise_hf.corpora.assemble import Official, Reading, choose_labels, require_folder
from mise_hf.corpora.utterance import Utterance

SCHEMES = {
    "4": {"neu": "neutral", "hap": "happiness", "exc": "happiness", "ang": "anger", "sad": "sadness"},
    "4-without-excited": {"neu": "neutral", "hap": "happiness", "ang": "anger", "sad": "sadness"},
    "all": {
        "neu": "neutral",
        "hap": "happiness",
        "exc": "excitement",
        "ang": "anger",
        "sad": "sadness",
        "fru": "frustration",
        "fea": "fear",
        "sur": "surprise",
        "dis": "disgust",
        "oth": "other",
    },
}
# Of raw labels in the full release; "xxx" is no agreement among the annotators.
COUNTS = {
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
NUMBER = r"\s*([\d.]+)\s*"
SUMMARY = re.compile(
    rf"\[{NUMBER}-{NUMBER}\]\s+(?P<turn>\S+)\s+(?P<label>\w+)\s+\[{NUMBER},{NUMBER},{NUMBER}\]\s*", re.ASCII
)
TRANSCRIPT = re.compile(r"(?P<turn>Ses\S+)\s*\[[^\]]*\]\s*:?\s*(?P<text>.*)")
TURN = re.compile(r"(?P<dialog>Ses(?P<session>\d\d)[FM]_\S+)_(?P<sex>[FM])\d+")


def read(root: Path, labels: str | None = None) -> Reading:
    """IEMOCAP under `root`, which holds `Session1` to `Session5`.

    Args:
        root: of the full release.
        labels: "4" (neutral, happiness with excitement merged in, anger, sadness; 5531 turns; the default),
            "4-without-excited", or "all" (everything but turns without agreement).

    Raises:
        ValueError: for a folder without the release's layout, or unknown labels.
    """
    label_map = choose_labels("iemocap", SCHEMES, labels)
    require_folder(root, *(f"Session{number}" for number in range(1, 6)))
    counts: dict[str, int] = {}
    for raw, name in label_map.items():
        counts[name] = counts.get(name, 0) + COUNTS[raw]
    excited = {"happiness": "merged into happiness", "excitement": "a class of its own"}
    return Reading(
        name="iemocap",
        utterances=_turns(root),
        label_map=label_map,
        protocol="leave one session out, 5 folds",
        official=Official(sum(COUNTS.values()), counts),
        details={"excited": excited.get(label_map.get("exc", ""), "left out")},
    )


def _turns(root: Path) -> Iterator[Utterance]:
    for session in sorted(path for path in root.glob("Session[1-5]") if path.is_dir()):
        evaluations = [
            path
            for path in sorted((session / "dialog" / "EmoEvaluation").glob("*.txt"))
            if not path.name.startswith("._")
        ]
        if not evaluations:
            raise ValueError(f"{str(session)!r} has no dialog/EmoEvaluation/*.txt; wanted the full release")
        for evaluation in evaluations:
            texts = _transcripts(session / "dialog" / "transcriptions" / evaluation.name)
            for line in evaluation.read_text(encoding="utf-8", errors="replace").splitlines():
                found = SUMMARY.fullmatch(line.strip())
                if found is None:
                    continue
                turn = TURN.fullmatch(found["turn"])
                if turn is None:
                    raise ValueError(
                        f"{str(evaluation)!r} has a turn {found['turn']!r}; wanted one as Ses01F_impro01_F000"
                    )
                valence, arousal, dominance = (float(found[group]) for group in (5, 6, 7))
                yield Utterance(
                    id=found["turn"],
                    audio=session / "sentences" / "wav" / turn["dialog"] / f"{found['turn']}.wav",
                    raw_label=found["label"],
                    text=texts.get(found["turn"], ""),
                    speaker=f"Ses{turn['session']}{turn['sex']}",
                    session=session.name,
                    language="en",
                    fold=session.name,
                    valence=valence,
                    arousal=arousal,
                    dominance=dominance,
                )


def _transcripts(path: Path) -> dict[str, str]:
    """Turn to text; lines that are no turn (noises of the other actor) are passed over."""
    if not path.is_file():
        return {}
    found = (TRANSCRIPT.fullmatch(line.strip()) for line in path.read_text("utf-8", "replace").splitlines())
    return {match["turn"]: match["text"].strip() for match in found if match}
