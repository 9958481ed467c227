"""Any corpus as a `datasets.Dataset` with named columns, from the Hub, from disk or made in code.

Audio that is kept as bytes inside the dataset is written out as files, for every later step reads files.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mise_hf.corpora.assemble import Reading
from mise_hf.corpora.columns import choose_columns, identity_map, to_utterance
from mise_hf.corpora.utterance import Utterance


def read(
    root: Path,
    columns: Mapping[str, str] | None = None,
    label_map: Mapping[str, str] | None = None,
    name: str | None = None,
    split: str | None = None,
    audio_folder: Path | None = None,
) -> Reading:
    """The dataset called `root` on the Hub, or saved in that folder.

    Args:
        root: "org/name", a folder of `save_to_disk`, or a folder that `load_dataset` reads.
        columns: field to column, where they are called otherwise.
        label_map: label to the name it shall have; others are dropped.
        name: of the corpus; by default the dataset's.
        split: "train", ...; needed where there are several, unless all shall be read, as partitions.
        audio_folder: where audio that is kept as bytes goes.

    Raises:
        ValueError: for a dataset that does not load or lacks the columns.
    """
    import datasets

    try:
        if (root / "state.json").is_file() or (root / "dataset_dict.json").is_file():
            loaded = datasets.load_from_disk(str(root))
        else:
            loaded = datasets.load_dataset(root.as_posix())
    except (OSError, ValueError) as error:
        raise ValueError(f"the dataset {root.as_posix()!r} does not load: {error}") from error
    parts = dict(loaded) if isinstance(loaded, dict) else {"": loaded}
    if split is not None:
        if split not in parts:
            raise ValueError(f"the dataset has no split {split!r}; it has {', '.join(parts) or 'none'}")
        parts = {"": parts[split]}
    utterances = []
    for partition, dataset in parts.items():
        utterances += read_rows(dataset, columns, partition if len(parts) > 1 else "", audio_folder)
    return Reading(
        name=name or root.name,
        utterances=utterances,
        label_map=identity_map(label_map, {row.raw_label for row in utterances}),
        protocol=f"the dataset's splits: {', '.join(parts)}" if len(parts) > 1 else "leave speakers out",
    )


def read_rows(
    dataset: Any, columns: Mapping[str, str] | None = None, partition: str = "", audio_folder: Path | None = None
) -> list[Utterance]:
    """The rows of one `datasets.Dataset` as utterances.

    Raises:
        ValueError: for missing columns, or audio kept as bytes and no `audio_folder`.
    """
    import datasets

    chosen = choose_columns(dataset.column_names, columns, "the dataset")
    label = dataset.features[chosen["label"]]
    audio = chosen.get("audio")
    if audio is not None and isinstance(dataset.features[audio], datasets.Audio):
        dataset = dataset.cast_column(audio, datasets.Audio(decode=False))
    utterances = []
    for number, row in enumerate(dataset.select_columns(sorted(set(chosen.values())))):
        if isinstance(label, datasets.ClassLabel) and row[chosen["label"]] is not None:
            row[chosen["label"]] = label.int2str(row[chosen["label"]])
        if audio is not None and isinstance(row[audio], dict):
            row[audio] = _as_file(row[audio], f"{partition or 'row'}-{number:07d}", audio_folder)
        if partition and "partition" not in chosen:
            row["partition"] = partition
        fields = {**chosen, "partition": "partition"} if partition and "partition" not in chosen else chosen
        utterance = to_utterance(row, fields, number, Path())
        if "id" not in chosen:
            utterance = _renamed(utterance, f"{partition}-{number:07d}" if partition else f"{number:07d}")
        utterances.append(utterance)
    return utterances


def _renamed(utterance: Utterance, name: str) -> Utterance:
    from dataclasses import replace

    return replace(utterance, id=name)


def _as_file(audio: dict[str, Any], name: str, folder: Path | None) -> str:
    """The file of an undecoded audio value; its bytes are written to `folder` where there is no such file."""
    path = audio.get("path")
    if path and Path(path).is_file():
        return str(path)
    if audio.get("bytes") is None:
        return str(path or "")
    if folder is None:
        raise ValueError("the dataset keeps its audio as bytes; wanted audio_folder, a folder to write them to")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}{Path(path or '').suffix or '.wav'}"
    target.write_bytes(audio["bytes"])
    return str(target)
