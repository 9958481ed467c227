"""Per-speaker standardisation: transductive, for it reads unlabelled clips of the test speakers (and undrawn ones)."""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from mise_hf.features import FeatureTable

Standardise = Literal["none", "speaker"]
# Of a dimension's deviation over all clips: the least that a speaker's is taken for.
LEAST = 0.1


def standardise(table: FeatureTable, how: Standardise) -> FeatureTable:
    """Audio states with each speaker's mean taken away and deviation divided out, dimension by dimension, as float32.

    No label is read. A speaker's moments are those of all their clips in the table, whichever fold tests them.

    Raises:
        ValueError: for an unknown way, a table without audio states, or a speaker with one clip.
    """
    if how not in get_args(Standardise):
        raise ValueError(f"standardise is {how!r}; wanted one of {', '.join(get_args(Standardise))}")
    if how == "none":
        return table
    if table.audio_states is None:
        raise ValueError("standardise is 'speaker' and the features hold no audio_states; wanted a corpus with audio")
    names, who, counts = np.unique(table.speakers, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        alone = [str(name) for name in names[counts < 2]]
        raise ValueError(f"standardise is 'speaker' and {alone[:5]} have one clip each; wanted 2 or more of a speaker")
    states = table.audio_states.astype(np.float32)
    least = LEAST * states.std(0)
    for number in range(len(names)):
        rows = states[who == number]
        states[who == number] = (rows - rows.mean(0)) / np.maximum(np.maximum(rows.std(0), least), 1e-6)
    return replace(table, audio_states=states)
