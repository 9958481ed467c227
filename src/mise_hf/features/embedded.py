"""Features that come with the package, so that the first result needs no corpus, no encoder and no network.

`load_embedded("emodb")` reads them; `python -m mise_hf.features.embedded` makes them again from audio and encoders, by
the very code of `mise-hf prepare` and `mise-hf extract`.
"""

import argparse
import json
import os
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from mise_hf.features.table import FeatureTable

EMBEDDED = ("emodb",)
STATES = "states.safetensors"
UTTERANCES = "utterances.json"
OFFICIAL = ("partitions", "folds")
AUDIO_LAYERS = (1, 2, 3, 4)
# Of the embedded features: another batch rounds the last bit otherwise.
BATCH_SECONDS = 40.0


def load_embedded(name: str = "emodb") -> FeatureTable:
    """The embedded features called `name`.

    Raises:
        ValueError: for a name that is not embedded.
    """
    if name not in EMBEDDED:
        raise ValueError(f"no features called {name!r} come with the package; wanted one of {', '.join(EMBEDDED)}")
    with as_file(files("mise_hf") / "data" / name) as folder:
        return read_compact(folder)


def open_table(name: str | os.PathLike[str]) -> FeatureTable:
    """Features by the name of embedded ones, or by folder; "./emodb" is a folder of that name.

    Raises:
        ValueError: as `FeatureTable.from_folder`.
    """
    return load_embedded(name) if isinstance(name, str) and name in EMBEDDED else FeatureTable.from_folder(name)


def write_compact(table: FeatureTable, folder: Path) -> None:
    """Write a table with both modalities as two small files, the states of each distinct text once.

    Raises:
        ValueError: for a table that lacks a modality.
    """
    if table.audio_states is None or table.text_states is None:
        raise ValueError("the table lacks audio_states or text_states; wanted both")
    texts, first, which = np.unique(table.texts, return_index=True, return_inverse=True)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "audio_states": table.audio_states.astype(np.float16),
        "text_states": np.ascontiguousarray(table.text_states[first]).astype(np.float16),
        "labels": table.labels,
        "text_index": which.astype(np.int64),
    }
    save_file(arrays, folder / STATES)
    story = {
        "corpus": table.corpus,
        "label_names": list(table.label_names),
        "fingerprint": table.fingerprint,
        "texts": texts.tolist(),
        "ids": table.ids.tolist(),
        "speakers": table.speakers.tolist(),
        "sessions": table.sessions.tolist(),
    }
    # Only where the corpus has an official split: the embedded EmoDB has none, and its file stays as it is.
    story |= {name: getattr(table, name).tolist() for name in OFFICIAL if (getattr(table, name) != "").any()}
    (folder / UTTERANCES).write_text(json.dumps(story, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def read_compact(folder: Path) -> FeatureTable:
    """The table that `write_compact` wrote to `folder`."""
    arrays = load_file(folder / STATES)
    story = json.loads((folder / UTTERANCES).read_text(encoding="utf-8"))
    fingerprint = story["fingerprint"]
    return FeatureTable(
        audio_states=arrays["audio_states"],
        text_states=arrays["text_states"][arrays["text_index"]],
        labels=arrays["labels"],
        label_names=tuple(story["label_names"]),
        speakers=np.array(story["speakers"], dtype=np.str_),
        ids=np.array(story["ids"], dtype=np.str_),
        texts=np.array(story["texts"], dtype=np.str_)[arrays["text_index"]],
        sessions=np.array(story["sessions"], dtype=np.str_),
        corpus=story["corpus"],
        audio_layers=tuple(fingerprint["audio_layers"]),
        text_layers=tuple(fingerprint["text_layers"]),
        fingerprint=fingerprint,
        **{name: np.array(story[name], dtype=np.str_) for name in OFFICIAL if name in story},
    )


def make(corpus: Path, audio_encoder: str, text_encoder: str, out: Path) -> FeatureTable:
    """Make the embedded EmoDB again, through prepare and extract.

    Raises:
        ValueError: for a folder without EmoDB, or encoders that do not load.
    """
    from mise_hf.corpora import read_corpus, write_prepared
    from mise_hf.features.encoders import load_audio_encoder, load_text_encoder
    from mise_hf.features.extraction import extract

    with tempfile.TemporaryDirectory() as scratch:
        prepared, features = Path(scratch) / "prepared", Path(scratch) / "features"
        write_prepared(read_corpus("emodb", corpus), prepared)
        audio = load_audio_encoder(audio_encoder, AUDIO_LAYERS)
        text = load_text_encoder(text_encoder, None)
        extract(prepared, features, audio, text, batch_seconds=BATCH_SECONDS, strict=True)
        table = FeatureTable.from_folder(features)
    write_compact(table, out)
    return table


def main() -> int:
    """Entry point of `python -m mise_hf.features.embedded`."""
    parser = argparse.ArgumentParser(prog="python -m mise_hf.features.embedded", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="EmoDB")
    parser.add_argument("--audio-encoder", required=True, help="openai/whisper-base, or a folder with it")
    parser.add_argument("--text-encoder", required=True, help="sentence-transformers/all-MiniLM-L6-v2, or a folder")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, e.g. src/mise_hf/data/emodb")
    args = parser.parse_args()
    try:
        table = make(args.corpus, args.audio_encoder, args.text_encoder, args.out)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f"{len(table)} utterances, {size / 1e6:.2f} MB in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
