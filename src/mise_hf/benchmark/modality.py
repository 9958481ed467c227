"""Features of one modality as a benchmark's methods take them: audio, text, or both side by side."""

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from mise_hf.features import FeatureTable

Modality = Literal["audio", "text", "both"]


def as_modality(table: FeatureTable, modality: Modality) -> FeatureTable:
    """The table with its text states, or audio and last text layer side by side, in place of the audio states.

    The text states are gone then: nothing is conditioned on what is classified.

    Raises:
        ValueError: for an unknown modality, or text that the table does not have.
    """
    if modality not in get_args(Modality):
        raise ValueError(f"modality is {modality!r}; wanted one of {', '.join(get_args(Modality))}")
    if modality == "audio":
        if table.audio_states is None:
            raise ValueError("modality is 'audio' and the features hold no audio_states; wanted --modality text")
        return table
    text = table.text_states
    if text is None:
        raise ValueError(f"modality is {modality!r} and the features hold no text_states; wanted --text-encoder")
    if modality == "text":
        # As of text alone: nothing in it was heard.
        read = {**table.fingerprint, "audio_encoder": None}
        return replace(
            table,
            audio_states=text,
            audio_layers=table.text_layers,
            text_states=None,
            text_layers=(),
            fingerprint=read,
        )
    if table.audio_states is None:
        raise ValueError("modality is 'both' and the features hold no audio_states; wanted a corpus with audio")
    last = np.repeat(text[:, -1:], len(table.audio_layers), axis=1)
    both = np.concatenate([table.audio_states.astype(np.float32), last.astype(np.float32)], axis=2)
    return replace(table, audio_states=both, text_states=None, text_layers=())
