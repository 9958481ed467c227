"""End-to-end training: which weights move, what is left in the run folder, and the same states after folding."""

import json
import sys

import numpy as np
import pytest
import soundfile
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from mise_hf.corpora import read_corpus, write_prepared
from mise_hf.models.pooling_mise import pooled_audio_states
from mise_hf.training import aligner as aligner_module
from mise_hf.training.arguments import AlignerArguments, parse_arguments
from mise_hf.training.open_encoders import close_encoder, open_encoder, quieten


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A Whisper and a BERT of a few thousand random weights, and a prepared corpus of 24 noise clips."""
    folder = tmp_path_factory.mktemp("end-to-end")
    torch.manual_seed(0)
    sizes = {"encoder_layers": 3, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "d_model": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    WhisperModel(WhisperConfig(**sizes, **heads, **tokens, vocab_size=8)).save_pretrained(folder / "whisper")
    WhisperFeatureExtractor().save_pretrained(folder / "whisper")
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(**sizes, vocab_size=7)).save_pretrained(folder / "bert")
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["[PAD]", "[UNK]", *"abcde"])}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    options = {"pad_token": "[PAD]", "unk_token": "[UNK]", "model_max_length": 64}
    PreTrainedTokenizerFast(tokenizer_object=words, **options).save_pretrained(folder / "bert")
    rng = np.random.default_rng(0)
    lines = ["id,path,label,speaker,text"]
    for i in range(24):
        # Two emotions: a low and a high tone in noise.
        seconds = np.arange(int(16000 * (0.15 + 0.05 * (i % 3)))) / 16000
        tone = 0.4 * np.sin(2 * np.pi * (300 if i % 2 else 2500) * seconds) + 0.05 * rng.normal(size=len(seconds))
        soundfile.write(folder / f"{i}.wav", tone, 16000)
        lines.append(f"{i},{i}.wav,{'xy'[i % 2]},s{i % 3},{' '.join('abcde'[i % 5 :])}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    write_prepared(read_corpus("manifest", folder / "list.csv"), folder / "prepared")
    return folder


def command(here, how: str, out, *more: str) -> list[str]:
    argv = ["--features", str(here / "prepared"), "--train_encoders", how, "--output_dir", str(out)]
    argv += ["--audio_encoder", str(here / "whisper"), "--text_encoder", str(here / "bert"), "--audio_layers", "1", "2"]
    return [
        *argv,
        "--steps",
        "3",
        "--batch_size",
        "8",
        "--projection_size",
        "4",
        "--encoder_learning_rate",
        "0.01",
        *more,
    ]


def changed_blocks(here, out) -> dict[str, set[str]]:
    """Of each encoder, the blocks (or other parts) whose weights a run has changed."""
    model = AutoModel.from_pretrained(out)
    found = {}
    for name, trained in (("whisper", model.audio_encoder), ("bert", model.text_encoder)):
        before = AutoModel.from_pretrained(here / name)
        before = before.get_encoder() if name == "whisper" else before
        assert trained.state_dict().keys() == before.state_dict().keys()
        moved = [key for key, value in before.state_dict().items() if not torch.equal(value, trained.state_dict()[key])]
        found[name] = {".".join(key.split(".")[: 2 if name == "whisper" else 3]) for key in moved}
    return found


def test_last_n_moves_the_last_blocks_that_are_pooled_and_no_others(here, tmp_path):
    aligner_module.main(command(here, "last_n", tmp_path / "run", "--gradient_checkpointing", "true"))
    # Layers 1 and 2 are pooled: block number 1 makes layer 2, and block number 2 gets no gradient.
    assert changed_blocks(here, tmp_path / "run") == {"whisper": {"layers.1"}, "bert": {"encoder.layer.1"}}
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["train_encoders"] is False and config["feature_fingerprint"]["audio_layers"] == [1, 2]
    loaded = AutoModel.from_pretrained(tmp_path / "run")
    out = loaded(input_features=torch.randn(2, 80, 40), input_ids=torch.tensor([[2, 3], [4, 5]]))
    assert out.audio_embeds.shape == (2, 4) and out.text_embeds.shape == (2, 4)
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == 3


def test_lora_leaves_a_plain_encoder_with_other_attention(here, tmp_path):
    pytest.importorskip("peft")
    aligner_module.main(command(here, "lora", tmp_path / "run", "--lora_rank", "2"))
    assert changed_blocks(here, tmp_path / "run") == {
        "whisper": {"layers.0", "layers.1"},
        "bert": {"encoder.layer.0", "encoder.layer.1"},
    }


def test_checkpointing_and_the_cut_of_a_batch_change_nothing(here, tmp_path):
    """Clips differ in length: how a batch is padded must not matter to any row."""

    def curve(name: str, *more: str) -> list[dict]:
        aligner_module.main(command(here, "last_n", tmp_path / name, "--text", "false", *more))
        return [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]

    plain = curve("plain")
    for name, more in (("saved", ("--gradient_checkpointing", "true")), ("cut", ("--micro_batches", "4"))):
        for first, second in zip(plain, curve(name, *more), strict=True):
            assert second == pytest.approx(first, abs=1e-4), name


def test_folding_keeps_the_states():
    pytest.importorskip("peft")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    convolution = {"conv_dim": [16], "conv_stride": [20], "conv_kernel": [40], "num_conv_pos_embeddings": 4}
    encoder = Wav2Vec2Model(Wav2Vec2Config(**sizes, **convolution, num_conv_pos_embedding_groups=2))
    names = set(encoder.state_dict())
    open_encoder(encoder, "lora", [2], blocks=1, rank=2, checkpointing=True)
    opened = [name for name, value in encoder.named_parameters() if value.requires_grad]
    assert opened and all("lora_" in name for name in opened)
    for name, value in encoder.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value)
    waves = torch.randn(2, 800)
    quieten(encoder.train())
    before = pooled_audio_states(encoder, waves, None, [2])
    calls = []
    encoder.encoder.layers[0].attention.register_forward_pre_hook(lambda *_: calls.append(1))
    pooled_audio_states(encoder, waves, None, [2]).sum().backward()
    assert len(calls) == 2, "a checkpointed block is computed once more in the backward pass"
    assert torch.equal(before, pooled_audio_states(encoder.eval(), waves, None, [2])), "it draws something of its own"
    close_encoder(encoder)
    assert set(encoder.state_dict()) == names and not any(value.requires_grad for value in encoder.parameters())
    assert torch.allclose(before, pooled_audio_states(encoder, waves, None, [2]), atol=1e-5)


def test_what_cannot_be_opened_is_refused(here, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="wanted a prepared corpus"):
        parse_arguments(AlignerArguments, ["--train_encoders", "lora", "--audio_encoder", "a", "--text", "false"])
    with pytest.raises(ValueError, match="wanted --audio_encoder"):
        parse_arguments(AlignerArguments, ["--train_encoders", "last_n"])
    with pytest.raises(ValueError, match="only layer 0"):
        aligner_module.main([*command(here, "last_n", tmp_path / "run"), "--audio_layers", "0"])
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match=r"pip install 'mise-hf\[lora\]'"):
        aligner_module.main(command(here, "lora", tmp_path / "other"))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["last_n", "lora"])
def test_real_encoders_learn_end_to_end(shared_dir, tmp_path, how):
    """Whisper-base and MiniLM on clips of EmoDB: the emotion loss falls."""
    pytest.importorskip("peft")
    encoders = shared_dir / "encoders"
    write_prepared(read_corpus("emodb", shared_dir / "corpora" / "emodb"), tmp_path / "prepared")
    argv = ["--features", str(tmp_path / "prepared"), "--train_encoders", how, "--output_dir", str(tmp_path / "run")]
    argv += ["--audio_encoder", str(encoders / "whisper-base-encoder"), "--audio_layers", "1", "2", "3"]
    argv += ["--text_encoder", str(encoders / "all-minilm-l6-v2"), "--max_seconds", "3", "--batch_size", "16"]
    aligner_module.main(
        [*argv, "--steps", "20", "--encoder_learning_rate", "0.0001", "--gradient_checkpointing", "true"]
    )
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["emotion_loss"] for line in metrics]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
