import pytest
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel


@pytest.fixture(scope="session")
def small_whisper(tmp_path_factory):
    """A Whisper of a few thousand random weights, saved with its preprocessor."""
    folder = tmp_path_factory.mktemp("encoders") / "small-whisper"
    torch.manual_seed(0)
    sizes = {"encoder_layers": 2, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "d_model": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    WhisperModel(WhisperConfig(**sizes, **heads, **tokens, vocab_size=8)).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder
