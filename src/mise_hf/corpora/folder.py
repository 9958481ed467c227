"""Any corpus as a folder of audio for each label: ROOT/happiness/anything.wav."""

from collections.abc import Mapping
from pathlib import Path

from mise_hf.corpora.assemble import Reading, require_folder
from mise_hf.corpora.columns import identity_map, speaker_of
from mise_hf.corpora.utterance import Utterance

AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3")


def read(
    root: Path,
    label_map: Mapping[str, str] | None = None,
    speaker_pattern: str | None = None,
    name: str | None = None,
) -> Reading:
    """The corpus in `root`, whose folders are labels; files may lie deeper inside them.

    Args:
        root: of the corpus.
        label_map: folder to the name its label shall have; other folders are dropped. By default folders are labels.
        speaker_pattern: regular expression that finds the speaker in the file name, in its group `speaker` or its
            first. Without one no speaker is known, and no split can be speaker-independent.
        name: of the corpus; by default the folder's.

    Raises:
        ValueError: for a folder without audio, or a pattern that finds no speaker.
    """
    require_folder(root)
    utterances = [
        Utterance(
            id=path.relative_to(root).with_suffix("").as_posix(),
            audio=path,
            raw_label=path.relative_to(root).parts[0],
            speaker=speaker_of(speaker_pattern, path.name),
        )
        for path in sorted(root.glob("*/**/*"))
        if path.suffix.lower() in AUDIO and path.is_file() and not path.name.startswith(".")
    ]
    if not utterances:
        raise ValueError(
            f"{str(root)!r} has no audio ({', '.join(AUDIO)}) in folders; wanted one folder for each label"
        )
    return Reading(
        name=name or root.resolve().name,
        utterances=utterances,
        label_map=identity_map(label_map, {row.raw_label for row in utterances}),
        protocol="leave speakers out (no official partition)" if speaker_pattern else "none: no speaker is known",
    )
