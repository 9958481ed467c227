"""Frozen encoders for the extraction: loading, their fingerprints, and leaving out the blocks that nobody asks for."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from mise_hf.models.feature_extraction_mise import MiseFeatureExtractor
from mise_hf.models.pooling_mise import check_layers, encoder_num_layers, take_encoder


@dataclass(frozen=True)
class AudioEncoder:
    """A frozen audio encoder, what it takes its input from, and how it is known."""

    model: PreTrainedModel
    extractor: MiseFeatureExtractor
    layers: tuple[int, ...]
    identity: dict[str, Any]


@dataclass(frozen=True)
class TextEncoder:
    """A frozen text encoder, its tokenizer, and how it is known."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    layers: tuple[int, ...]
    identity: dict[str, Any]


def load_audio_encoder(
    encoder: str, layers: Sequence[int] | None, device: torch.device | str = "cpu", revision: str | None = None
) -> AudioEncoder:
    """The audio encoder called `encoder` on the Hub or in that folder, frozen, float32, on `device`.

    Args:
        encoder: id or folder.
        layers: to pool; None for the last.
        device: to run on.
        revision: of the Hub.

    Raises:
        ValueError: for an encoder that cannot be loaded, or layers that it does not have.
    """
    model = _load(encoder, revision, ("input_values", "input_features"))
    identity = _identity(encoder, model)
    chosen = _choose_layers(layers, model)
    try:
        extractor = MiseFeatureExtractor.for_encoder(encoder, revision=revision)
    except OSError as error:
        raise ValueError(f"{encoder!r} has no preprocessor configuration that loads: {error}") from error
    return AudioEncoder(_ready(model, chosen, device), extractor, chosen, identity)


def load_text_encoder(
    encoder: str, layers: Sequence[int] | None, device: torch.device | str = "cpu", revision: str | None = None
) -> TextEncoder:
    """The text encoder called `encoder` on the Hub or in that folder, frozen, float32, on `device`.

    Args:
        encoder: id or folder.
        layers: to pool; None for the last.
        device: to run on.
        revision: of the Hub.

    Raises:
        ValueError: for an encoder or tokenizer that cannot be loaded, or layers that it does not have.
    """
    model = _load(encoder, revision, ("input_ids",))
    identity = _identity(encoder, model)
    chosen = _choose_layers(layers, model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(encoder, revision=revision)
    except OSError as error:
        raise ValueError(f"{encoder!r} has no tokenizer that loads: {error}") from error
    return TextEncoder(_ready(model, chosen, device), tokenizer, chosen, identity)


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 over names and values of all weights and buffers, rounded to float16.

    So it does not matter in which file they lie, nor whether that file is a float32 or a float16 copy; the features
    that two such copies make are equal to about one part in a thousand, which is what float16 features resolve.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


def _bytes(value: Tensor) -> bytes:
    plain = value.detach().to("cpu")
    return (plain.half() if plain.is_floating_point() else plain).contiguous().numpy().tobytes()


def _load(encoder: str, revision: str | None, inputs: tuple[str, ...]) -> PreTrainedModel:
    if looks_like_a_folder(encoder) and not Path(encoder).is_dir():
        raise ValueError(f"the encoder {encoder!r} is no folder; wanted a folder with a model, or an id on the Hub")
    try:
        model = take_encoder(AutoModel.from_pretrained(encoder, revision=revision, dtype=torch.float32))
    except OSError as error:
        raise ValueError(f"the encoder {encoder!r} cannot be loaded from the Hub or a folder: {error}") from error
    if model.main_input_name not in inputs:
        raise ValueError(f"the encoder {encoder!r} takes {model.main_input_name}; wanted one that takes {inputs[0]}")
    return model


def looks_like_a_folder(name: str) -> bool:
    """Whether `name` can be no id on the Hub, which has one slash at most and does not begin with a dot or a slash."""
    return name.startswith((".", "/", "~")) or name.count("/") > 1


def _identity(encoder: str, model: PreTrainedModel) -> dict[str, Any]:
    folder = Path(encoder)
    return {
        "id": folder.resolve().name if folder.is_dir() else os.fspath(encoder),
        "revision": getattr(model.config, "_commit_hash", None),
        "weights_sha256": weights_sha256(model),
    }


def _choose_layers(layers: Sequence[int] | None, model: PreTrainedModel) -> tuple[int, ...]:
    return check_layers([encoder_num_layers(model.config)] if layers is None else layers, model.config)


def _ready(model: PreTrainedModel, layers: tuple[int, ...], device: torch.device | str) -> PreTrainedModel:
    _drop_unused_blocks(model, max(layers))
    return model.requires_grad_(False).eval().to(device)


def _drop_unused_blocks(model: PreTrainedModel, last: int) -> None:
    """Cut the stack of blocks behind the one after `last`. That one stays: transformers puts a final normalisation on
    the last entry of `hidden_states`, and entry `last` must not become it."""
    blocks = encoder_num_layers(model.config)
    for parent in model.modules():
        for name, stack in parent.named_children():
            if name in ("layer", "layers") and isinstance(stack, nn.ModuleList) and len(stack) == blocks:
                setattr(parent, name, stack[: last + 1])
                return
