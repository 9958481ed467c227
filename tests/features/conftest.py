import pytest
import soundfile
import torch
from noise_clips import noise
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from mise_hf.corpora import read_corpus, write_prepared


@pytest.fixture(scope="session")
def whisper_dir(tmp_path_factory):
    """A Whisper of a few thousand random weights, saved with its preprocessor."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny-whisper"
    torch.manual_seed(0)
    sizes = {"encoder_layers": 3, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "d_model": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    WhisperModel(WhisperConfig(**sizes, **heads, **tokens, vocab_size=8)).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bert_dir(tmp_path_factory):
    """A BERT of a few thousand random weights, saved with a tokenizer that knows a few letters."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny-bert"
    vocabulary = {token: place for place, token in enumerate(["[PAD]", "[UNK]", "a", "b", "c", "d", "e"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(**sizes, vocab_size=7)).save_pretrained(folder)
    return folder


@pytest.fixture
def make_corpus(tmp_path):
    """A function that prepares a manifest corpus of noise clips with the given durations, in seconds."""

    def make(durations, texts=True, audio=True, name="noise"):
        root = tmp_path / name
        root.mkdir()
        lines = ["id,path,label,speaker,text" if audio else "id,label,speaker,text"]
        for place, seconds in enumerate(durations):
            label, speaker = "xy"[place % 2], f"s{place % 3}"
            text = " ".join("abcde"[place % 5 : place % 5 + 1 + place % 3]) if texts else ""
            if audio:
                soundfile.write(root / f"{place:03d}.wav", noise(seconds, seed=place), 16000)
                lines.append(f"{place:03d},{place:03d}.wav,{label},{speaker},{text}")
            else:
                lines.append(f"{place:03d},{label},{speaker},{text}")
        (root / "list.csv").write_text("\n".join(lines) + "\n")
        write_prepared(read_corpus("manifest", root / "list.csv"), root / "prepared")
        return root / "prepared"

    return make
