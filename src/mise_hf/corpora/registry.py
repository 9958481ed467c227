"""The corpora by name, and the one function that reads any of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mise_hf.corpora import emodb, ravdess
from mise_hf.corpora.assemble import Reading, assemble
from mise_hf.corpora.utterance import Corpus

CORPORA: dict[str, Callable[..., Reading]] = {
    "emodb": emodb.read,
    "ravdess": ravdess.read,
}


def read_corpus(name: str, root: str | os.PathLike[str], **options: Any) -> Corpus:
    """Read the corpus `name` under `root`.

    Args:
        name: one of `CORPORA`.
        root: folder (or file, for a manifest) of the corpus.
        **options: of its reader, e.g. `labels`.

    Raises:
        ValueError: for an unknown corpus, and whatever its reader and the guards refuse.
    """
    if name not in CORPORA:
        raise ValueError(f"the corpus {name!r} is unknown; wanted one of {', '.join(CORPORA)}")
    return assemble(CORPORA[name](Path(root), **options))
