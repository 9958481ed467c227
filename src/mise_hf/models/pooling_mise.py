"""Frozen or trainable encoders to pooled hidden states: mean and standard deviation over the valid time frames.

Travels to the Hub with the models: imports torch, transformers and siblings of this folder, never `mise_hf`.

The rule that everything here serves: a row's result does not depend on what it is padded with. Three encoders' habits
break it when a batch is simply padded, and each is mended where it happens: Whisper has no attention mask at all,
"group" feature encoders (wav2vec2-base, HuBERT-base, WavLM-base) normalise over the padded time axis, and stacked
positional convolutions (data2vec-audio) let padded frames grow values that leak into their neighbours.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask

# Below every real spread of hidden states; keeps the square root's gradient finite for a clip of one frame.
VARIANCE_FLOOR = 1e-10


def masked_statistics(hidden_states: Tensor, mask: Tensor | None) -> Tensor:
    """Mean, then standard deviation (of the population: divided by the number of frames), over valid time frames.

    Args:
        hidden_states: (batch, time, hidden) or (batch, layers, time, hidden), any float type.
        mask: (batch, time), non-zero on valid frames; None where every frame is valid.

    Returns:
        (batch, 2 * hidden) or (batch, layers, 2 * hidden), float32.

    Raises:
        ValueError: for another number of dimensions, a mask of another shape, or a row without a valid frame.
    """
    if hidden_states.dim() not in (3, 4):
        raise ValueError(
            f"hidden_states has shape {tuple(hidden_states.shape)}; wanted (batch, time, hidden) or "
            "(batch, layers, time, hidden)"
        )
    states = hidden_states.float()
    if mask is None:
        variance, mean = torch.var_mean(states, dim=-2, correction=0)
    else:
        wanted = (states.shape[0], states.shape[-2])
        if tuple(mask.shape) != wanted:
            raise ValueError(f"mask has shape {tuple(mask.shape)}; wanted (batch, time) = {wanted}")
        weights = mask.to(states.dtype)
        frames = weights.sum(dim=1)
        if not bool((frames > 0).all()):
            raise ValueError(
                f"rows {(frames == 0).nonzero().flatten().tolist()} have no valid frame; wanted at least 1"
            )
        weights = (weights / frames[:, None]).unsqueeze(-1)
        if states.dim() == 4:
            weights = weights.unsqueeze(1)
        mean = (states * weights).sum(dim=-2)
        variance = ((states - mean.unsqueeze(-2)).square() * weights).sum(dim=-2)
    return torch.cat([mean, variance.clamp_min(VARIANCE_FLOOR).sqrt()], dim=-1)


def take_encoder(model: PreTrainedModel) -> PreTrainedModel:
    """The part of `model` that encodes: itself, or the encoder of an encoder-decoder model such as Whisper."""
    return model.get_encoder() if model.config.is_encoder_decoder and hasattr(model, "decoder") else model


def encoder_hidden_size(config: PreTrainedConfig) -> int:
    """Width of the encoder's hidden states.

    Raises:
        ValueError: where the configuration names no width.
    """
    for name in ("hidden_size", "d_model", "dim"):
        if getattr(config, name, None) is not None:
            return int(getattr(config, name))
    raise ValueError(f"the configuration of model type {config.model_type!r} has none of hidden_size, d_model, dim")


def encoder_num_layers(config: PreTrainedConfig) -> int:
    """Number of blocks of the encoder; its layers are then 0 (the input embedding) to this number.

    Raises:
        ValueError: where the configuration names no number of blocks.
    """
    for name in ("encoder_layers", "num_hidden_layers", "n_layers"):
        if getattr(config, name, None) is not None:
            return int(getattr(config, name))
    raise ValueError(
        f"the configuration of model type {config.model_type!r} has none of encoder_layers, num_hidden_layers, n_layers"
    )


def check_layers(layers: Sequence[int], config: PreTrainedConfig) -> tuple[int, ...]:
    """`layers` as a tuple of ints.

    Raises:
        ValueError: for no layer, a repeated one, or one that the encoder does not have.
    """
    last = encoder_num_layers(config)
    wanted = f"wanted distinct layers of 0 (input embedding) to {last} of this {config.model_type} encoder"
    chosen = tuple(int(layer) for layer in layers)
    if not chosen or len(set(chosen)) != len(chosen) or not all(0 <= layer <= last for layer in chosen):
        raise ValueError(f"layers are {list(layers)}; {wanted}")
    return chosen


def count_frames(encoder: PreTrainedModel, lengths: Tensor) -> Tensor:
    """Time frames of the hidden states, (batch,), for inputs of `lengths` (batch,): mel frames or samples."""
    return cast(Any, encoder)._get_feat_extract_output_lengths(lengths).to(torch.long)


def pooled_audio_states(
    encoder: PreTrainedModel, inputs: Tensor, attention_mask: Tensor | None, layers: Sequence[int]
) -> Tensor:
    """Pooled hidden states of the chosen layers; layer 0 is the input embedding, layer k the output of block k.

    Layers are numbered as in the `hidden_states` tuple of transformers, so the last one has passed the encoder's final
    normalisation where the tuple's has. Gradient flows: put `torch.no_grad()` around a frozen encoder.

    Args:
        encoder: any audio encoder of `AutoModel` that takes waveforms, or the encoder of Whisper.
        inputs: waveforms (batch, samples), or log-mel spectrograms (batch, mel bins, frames) for Whisper, padded on
            the right.
        attention_mask: (batch, samples) or (batch, frames), non-zero on valid input; None where nothing is padded.
        layers: which of the encoder's layers.

    Returns:
        (batch, layers, 2 * hidden), float32.

    Raises:
        ValueError: for layers that the encoder does not have, or a mask of another shape.
    """
    chosen = check_layers(layers, encoder.config)
    if attention_mask is not None and attention_mask.shape != (inputs.shape[0], inputs.shape[-1]):
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}; wanted (batch, time) = "
            f"{(inputs.shape[0], inputs.shape[-1])}"
        )
    inputs = inputs.to(next(encoder.parameters()).dtype)
    if attention_mask is not None and bool(attention_mask.all()):
        attention_mask = None
    if encoder.config.model_type == "whisper":
        return _pooled_whisper_states(encoder, inputs, attention_mask, chosen)
    if attention_mask is None:
        states = encoder(inputs, output_hidden_states=True).hidden_states
        return torch.stack([masked_statistics(states[layer], None) for layer in chosen], dim=1)
    lengths = attention_mask.long().sum(dim=-1)
    with _padding_kept_out(encoder, lengths):
        states = encoder(inputs, attention_mask=attention_mask.long(), output_hidden_states=True).hidden_states
    frame_mask = _frame_mask(count_frames(encoder, lengths), states[0].shape[1])
    return torch.stack([masked_statistics(states[layer], frame_mask) for layer in chosen], dim=1)


def pooled_text_states(
    encoder: PreTrainedModel, input_ids: Tensor, attention_mask: Tensor | None, layers: Sequence[int]
) -> Tensor:
    """Pooled hidden states of the chosen layers of a text encoder; layers are numbered as for audio.

    Args:
        encoder: any text encoder of `AutoModel`.
        input_ids: (batch, tokens).
        attention_mask: (batch, tokens), non-zero on valid tokens; None where nothing is padded.
        layers: which of the encoder's layers.

    Returns:
        (batch, layers, 2 * hidden), float32.

    Raises:
        ValueError: for layers that the encoder does not have, or a mask of another shape.
    """
    chosen = check_layers(layers, encoder.config)
    if attention_mask is not None and attention_mask.shape != input_ids.shape:
        raise ValueError(
            f"attention_mask has shape {tuple(attention_mask.shape)}; wanted (batch, tokens) = {tuple(input_ids.shape)}"
        )
    states = encoder(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True).hidden_states
    return torch.stack([masked_statistics(states[layer], attention_mask) for layer in chosen], dim=1)


def _frame_mask(lengths: Tensor, time: int) -> Tensor:
    """(batch, time), true on the first `lengths` (batch,) frames of each row."""
    return torch.arange(time, device=lengths.device)[None, :] < lengths[:, None]


def _pooled_whisper_states(encoder: Any, mel: Tensor, attention_mask: Tensor | None, layers: tuple[int, ...]) -> Tensor:
    """Whisper on the real length: its own forward wants 30 s of mel frames and ignores every mask."""
    frames = (mel.shape[-1] - 1) // 2 + 1
    if frames > encoder.config.max_source_positions:
        raise ValueError(
            f"the log-mel spectrogram has {mel.shape[-1]} frames; wanted at most "
            f"{2 * encoder.config.max_source_positions}: cut long audio into windows"
        )
    frame_mask = additive_mask = None
    if attention_mask is not None:
        valid = attention_mask.to(mel.dtype)[:, None, :]
        # Both convolutions must see zeros past the end, as they would at the edge of an unpadded clip.
        hidden_states = F.gelu(encoder.conv1(mel * valid)) * valid
        frame_mask = _frame_mask(count_frames(encoder, attention_mask.long().sum(dim=-1)), frames)
    else:
        hidden_states = F.gelu(encoder.conv1(mel))
    hidden_states = F.gelu(encoder.conv2(hidden_states)).transpose(1, 2)
    hidden_states = hidden_states + encoder.embed_positions.weight[:frames]
    hidden_states = F.dropout(hidden_states, p=encoder.dropout, training=encoder.training)
    if frame_mask is not None:
        additive_mask = create_bidirectional_mask(
            config=encoder.config, inputs_embeds=hidden_states, attention_mask=frame_mask
        )
    pooled = {}
    for layer in range(max(layers) + 1):
        if layer > 0:
            hidden_states = encoder.layers[layer - 1](hidden_states, additive_mask)
        if layer in layers:
            last = layer == len(encoder.layers)
            pooled[layer] = masked_statistics(encoder.layer_norm(hidden_states) if last else hidden_states, frame_mask)
    return torch.stack([pooled[layer] for layer in layers], dim=1)


@contextmanager
def _padding_kept_out(encoder: PreTrainedModel, lengths: Tensor) -> Iterator[None]:
    """While open, the padded part of a batch of waveforms of `lengths` (batch,) samples does not reach valid frames."""
    hooks = []
    front_end: Any = getattr(encoder, "feature_extractor", None)
    positional = getattr(getattr(encoder, "encoder", None), "pos_conv_embed", None)
    try:
        for name, module in front_end.named_modules() if front_end is not None else ():
            if isinstance(module, nn.GroupNorm):
                conv = front_end.get_submodule(name.rpartition(".")[0]).conv
                frames = (lengths - conv.kernel_size[0]) // conv.stride[0] + 1
                hooks.append(module.register_forward_hook(_GroupNormOverValidFrames(frames)))
        for module in positional.modules() if positional is not None else ():
            if isinstance(module, nn.Conv1d):
                hooks.append(module.register_forward_pre_hook(_ZeroPaddedFrames(count_frames(encoder, lengths))))
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _GroupNormOverValidFrames:
    """Forward hook that takes one-channel groups' mean and variance over the first `frames` (batch,) only."""

    def __init__(self, frames: Tensor) -> None:
        self.frames = frames

    def __call__(self, module: nn.GroupNorm, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        hidden_states = args[0]
        if module.num_groups != hidden_states.shape[1]:
            raise ValueError(
                f"the feature encoder normalises {module.num_groups} groups of {hidden_states.shape[1]} channels over "
                "time; wanted one channel a group: give the clips one by one, without padding"
            )
        weights = _frame_mask(self.frames, hidden_states.shape[-1]).to(torch.float32) / self.frames[:, None]
        states, weights = hidden_states.float(), weights[:, None, :]
        mean = (states * weights).sum(dim=-1, keepdim=True)
        variance = ((states - mean).square() * weights).sum(dim=-1, keepdim=True)
        states = (states - mean) * torch.rsqrt(variance + module.eps)
        return (states * module.weight[:, None] + module.bias[:, None]).to(output.dtype)


class _ZeroPaddedFrames:
    """Forward pre-hook that zeroes (batch, hidden, time) past the first `frames` (batch,)."""

    def __init__(self, frames: Tensor) -> None:
        self.frames = frames

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden_states = args[0]
        return (hidden_states * _frame_mask(self.frames, hidden_states.shape[-1])[:, None, :].to(hidden_states.dtype),)
