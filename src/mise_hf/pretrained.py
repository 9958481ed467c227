"""Generators by Hub id, by folder, or by the name of one that the package carries."""

import os
from pathlib import Path

from mise_hf.models.modeling_mise_generator import MiseGenerator

DATA = Path(__file__).parent / "data"
# Trained on EmoDB, which is in the public domain (CC0): made by `benchmarks/embedded_generator.py`.
EMODB_GENERATOR = "emodb_generator"


def load_generator(name: str | os.PathLike[str] = EMODB_GENERATOR) -> MiseGenerator:
    """A generator that can be adapted to other corpora.

    Args:
        name: Hub id, folder, or "emodb_generator", which the package carries (Whisper-base states, CC0).

    Raises:
        ValueError: for no generator there.
    """
    place = DATA / EMODB_GENERATOR if os.fspath(name) == EMODB_GENERATOR else os.fspath(name)
    try:
        return MiseGenerator.from_pretrained(place).eval()
    except OSError as error:
        raise ValueError(f"{os.fspath(name)!r} is no generator that loads: {error}") from error
