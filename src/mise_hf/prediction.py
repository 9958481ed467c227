"""Emotion probabilities for real recordings: file -> waveform -> encoder -> SER head.

May import features and models.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from transformers import AutoModelForAudioClassification

from mise_hf.features.encoders import AudioEncoder, load_audio_encoder
from mise_hf.features.pooler import AudioPooler
from mise_hf.models.feature_extraction_mise import MiseFeatureExtractor
from mise_hf.models.modeling_mise_ser import MiseForAudioClassification

# Audio in one batch, padding included; keeps a laptop's memory small.
BATCH_SECONDS = 40.0


def load_predictor(
    checkpoint: str | os.PathLike[str], audio_encoder: str | None
) -> tuple[MiseForAudioClassification, AudioEncoder]:
    """An SER head and the encoder that feeds it.

    Args:
        checkpoint: Hub id or folder of the head.
        audio_encoder: Hub id or folder of the encoder that made the head's training features; None where the checkpoint
            holds its own.

    Raises:
        ValueError: for no checkpoint, no encoder, or another encoder than the head was trained on.
    """
    try:
        model = AutoModelForAudioClassification.from_pretrained(checkpoint).eval()
    except OSError as error:
        raise ValueError(f"{os.fspath(checkpoint)!r} is no SER checkpoint that loads: {error}") from error
    config = model.config
    layers = config.aligner_config.audio_layers if model.aligner is not None else config.state_layers
    if audio_encoder is not None:
        encoder = load_audio_encoder(audio_encoder, layers)
        _require_weights(model, encoder)
        return model, encoder
    inside = model.aligner.audio_encoder if model.aligner is not None else model.audio_encoder
    if inside is None:
        made_by = ((config.feature_fingerprint or {}).get("audio_encoder") or {}).get("id", "unknown")
        raise ValueError(
            f"{os.fspath(checkpoint)} holds no audio encoder; give the one it was trained on ({made_by}) with "
            "--audio-encoder"
        )
    return model, AudioEncoder(inside.eval(), MiseFeatureExtractor.from_pretrained(checkpoint), tuple(layers), {})


def _require_weights(model: MiseForAudioClassification, encoder: AudioEncoder) -> None:
    wanted = ((model.config.feature_fingerprint or {}).get("audio_encoder") or {}).get("weights_sha256")
    found = encoder.identity["weights_sha256"]
    if wanted is not None and found != wanted:
        raise ValueError(
            f"the encoder {encoder.identity['id']!r} has the weights {found[:12]}; wanted {wanted[:12]}, with which "
            "this head's training features were made"
        )


@torch.no_grad()
def predict_files(
    model: MiseForAudioClassification, encoder: AudioEncoder, files: Sequence[str | os.PathLike[str]]
) -> list[dict[str, float]]:
    """Emotion probabilities of each file; any length, sampling rate and number of channels.

    Raises:
        ValueError: naming every file that is missing, no audio, empty, silent, or holds NaN.
    """
    paths = [os.fspath(file) for file in files]
    pooled = AudioPooler(encoder, BATCH_SECONDS).pool(paths, [_seconds(path) for path in paths])
    if pooled.rejected:
        raise ValueError("; ".join(pooled.rejected[row] for row in sorted(pooled.rejected)))
    states = torch.from_numpy(np.stack([pooled.states[row] for row in range(len(paths))]))
    if model.aligner is None:
        states = states.flatten(1)
    probabilities = model(audio_states=states).logits.softmax(1).tolist()
    return [{model.config.id2label[i]: p for i, p in enumerate(row)} for row in probabilities]


def _seconds(path: str) -> float | None:
    """Length by the file's header; None where there is none to read, which the pooler then reports."""
    try:
        return soundfile.info(path).duration if Path(path).is_file() else None
    except soundfile.LibsndfileError:
        return None
