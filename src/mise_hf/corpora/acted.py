"""Acted corpora whose file names tell speaker, sentence and emotion: EmoDB, RAVDESS, CREMA-D."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mise_hf.corpora.utterance import Utterance

AUDIO = (".wav", ".flac", ".ogg", ".mp3")


def named_utterances(
    paths: Iterable[Path], pattern: re.Pattern[str], sentences: Mapping[str, str], language: str, wanted: str
) -> list[Utterance]:
    """The audio files whose names match, in order; each speaker is a fold.

    Args:
        paths: files and folders; what is no audio or is named otherwise is passed over.
        pattern: of the whole name without its suffix, with the groups `speaker`, `sentence` and `emotion`.
        sentences: what `sentence` stands for.
        language: two-letter code.
        wanted: what to say where no file is named so.

    Raises:
        ValueError: where no file is named so.
    """
    named = ((path, pattern.fullmatch(path.stem)) for path in sorted(paths) if path.suffix.lower() in AUDIO)
    utterances = [
        Utterance(
            id=path.stem,
            audio=path,
            raw_label=match["emotion"],
            text=sentences.get(match["sentence"], ""),
            speaker=match["speaker"],
            language=language,
            fold=match["speaker"],
        )
        for path, match in named
        if match
    ]
    if not utterances:
        raise ValueError(wanted)
    return utterances
