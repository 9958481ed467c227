"""Encoders of every supported architecture, a few thousand weights each, made in code."""

import torch
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperModel,
)

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "conv_dim": [32] * 3,
    "conv_stride": [5, 4, 4],
    "conv_kernel": [10, 8, 8],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embedding_groups": 2,
}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
WAVEFORM_ENCODERS = {
    "wav2vec2": (Wav2Vec2Model, Wav2Vec2Config, {"num_conv_pos_embeddings": 16}),
    "wav2vec2-stable": (Wav2Vec2Model, Wav2Vec2Config, {"num_conv_pos_embeddings": 16, **STABLE}),
    "hubert": (HubertModel, HubertConfig, {"num_conv_pos_embeddings": 16}),
    "hubert-batch-norm": (HubertModel, HubertConfig, {"num_conv_pos_embeddings": 16, "conv_pos_batch_norm": True}),
    "hubert-stable": (HubertModel, HubertConfig, {"num_conv_pos_embeddings": 16, **STABLE}),
    "wavlm": (WavLMModel, WavLMConfig, {"num_conv_pos_embeddings": 16}),
    "wavlm-stable": (WavLMModel, WavLMConfig, {"num_conv_pos_embeddings": 16, **STABLE}),
    "data2vec-audio": (Data2VecAudioModel, Data2VecAudioConfig, {"num_conv_pos_embeddings": 5}),
}


def waveform_encoder(name: str) -> PreTrainedModel:
    """A random encoder whose biases and normalisations are not the identity, so that leaks through them would show."""
    model_class, config_class, options = WAVEFORM_ENCODERS[name]
    if name == "data2vec-audio":
        options = {**options, "conv_pos_kernel_size": 19}
    torch.manual_seed(0)
    model = model_class(config_class(**{**SIZES, **options})).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.add_(0.5 * torch.randn(weight.shape, generator=generator))
    return model


def whisper(layers: int = 3, width: int = 16) -> PreTrainedModel:
    """A random Whisper with its decoder."""
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=width,
        encoder_layers=layers,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        vocab_size=8,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
    )
    model = WhisperModel(config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.encoder.parameters():
            if weight.dim() == 1:
                weight.add_(0.5 * torch.randn(weight.shape, generator=generator))
    return model
