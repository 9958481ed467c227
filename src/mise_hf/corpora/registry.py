"""The corpora by name, and the one function that reads any of them."""

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mise_hf.corpora import (
    crema_d,
    emodb,
    folder,
    hf_dataset,
    iemocap,
    manifest,
    meld,
    msp_improv,
    msp_podcast,
    ravdess,
)
from mise_hf.corpora.assemble import Reading, assemble
from mise_hf.corpora.utterance import Corpus

CORPORA: dict[str, Callable[..., Reading]] = {
    "iemocap": iemocap.read,
    "msp-improv": msp_improv.read,
    "msp-podcast": msp_podcast.read,
    "emodb": emodb.read,
    "ravdess": ravdess.read,
    "crema-d": crema_d.read,
    "meld": meld.read,
    "manifest": manifest.read,
    "folder": folder.read,
    "dataset": hf_dataset.read,
}


def read_corpus(
    corpus: str,
    root: str | os.PathLike[str],
    /,
    *,
    label_map: Mapping[str, str] | None = None,
    text_only: bool = False,
    shared_speakers: bool = False,
    **options: Any,
) -> Corpus:
    """Read the corpus called `corpus` under `root`.

    Args:
        corpus: one of `CORPORA`.
        root: folder of the corpus; for "manifest" the file, for "dataset" its id on the Hub or folder.
        label_map: raw label to label name, in place of the corpus's own sets of labels; other labels are dropped.
        text_only: leave the audio out.
        shared_speakers: report speakers that are in two partitions instead of refusing them.
        **options: of its reader, e.g. `labels`.

    Raises:
        ValueError: for an unknown corpus or option, and whatever its reader and the guards refuse.
    """
    if corpus not in CORPORA:
        raise ValueError(f"the corpus {corpus!r} is unknown; wanted one of {', '.join(CORPORA)}")
    accepted = [option for option in inspect.signature(CORPORA[corpus]).parameters if option != "root"]
    unknown = sorted(set(options) - set(accepted))
    if unknown:
        raise ValueError(f"{corpus} takes no {', '.join(unknown)}; wanted some of {', '.join(accepted)}")
    if label_map and "label_map" in accepted:
        options["label_map"] = label_map
    reading = CORPORA[corpus](Path(root), **options)
    if label_map and "label_map" not in accepted:
        # The official counts are those of the corpus's own sets of labels.
        reading = replace(reading, label_map=label_map, official=None)
    if text_only:
        silent = (replace(utterance, audio=None) for utterance in reading.utterances)
        reading = replace(reading, utterances=silent)
    if shared_speakers:
        reading = replace(reading, speakers_may_overlap=True)
    return assemble(reading)
