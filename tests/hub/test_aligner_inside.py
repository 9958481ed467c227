"""An aligner with both its encoders inside: published from raw input, pulled where mise_hf is not installed."""

import json
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from isolated import python
from test_publish import files_of, publish
from toy_encoders import save_bert
from transformers import AutoModel

from mise_hf import MiseAligner, MiseAlignerConfig
from mise_hf.features.encoders import load_audio_encoder, load_text_encoder
from mise_hf.features.extraction import make_fingerprint
from mise_hf.features.pooler import pool_texts
from mise_hf.models.pooling_mise import pooled_audio_states

TEXTS = ["a b", "c"]


@pytest.fixture
def text_encoder(tmp_path):
    """A BERT of random weights and 8 dimensions that knows three words."""
    return save_bert(tmp_path / "tiny-bert", "abc", seed=2)


@pytest.fixture
def run(hearing_run, tiny_encoder, text_encoder, tmp_path):
    """(folder of the aligner, its embeddings of one clip of noise and of two texts, from pooled states)."""
    audio, text = load_audio_encoder(str(tiny_encoder), [1]), load_text_encoder(str(text_encoder), [2])
    torch.manual_seed(0)
    aligner = MiseAligner(
        MiseAlignerConfig(
            id2label={0: "x", 1: "y"},
            feature_fingerprint=make_fingerprint(audio, text),
            audio_state_size=32,
            text_state_size=16,
            audio_layers=[1],
            text_layers=[2],
            projection_size=4,
        )
    ).eval()
    aligner.audio_tower.fit_scaler(torch.randn(9, 1, 32))
    aligner.text_tower.fit_scaler(torch.randn(9, 1, 16))
    folder = tmp_path / "run"
    aligner.save_pretrained(folder / "aligner")
    shutil.copy(hearing_run / "results.json", folder / "results.json")
    inputs = audio.extractor(noise(), sampling_rate=16000)
    with torch.no_grad():
        heard = pooled_audio_states(audio.model, inputs["input_features"], inputs["attention_mask"], [1])
        read = torch.from_numpy(np.stack([pool_texts(text, TEXTS)[line] for line in TEXTS]))
        out = aligner(audio_states=heard.expand(2, -1, -1), text_states=read)
    return folder, out.audio_embeds, out.text_embeds


def noise() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, 16000).astype(np.float32)


def test_raw_speech_and_text_go_in_where_the_package_is_not(
    client, run, tiny_encoder, text_encoder, bare_python, tmp_path
):
    folder, audio_embeds, text_embeds = run
    encoders = ["--audio-encoder", tiny_encoder, "--text-encoder", text_encoder]
    assert publish(folder / "aligner", "--repo", "org/both", "--redistribution", "yes", *encoders) == 0
    files = files_of(client, "models/org/both")
    assert {"preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"} <= set(files)
    assert ModelCard(files["README.md"].decode()).data.pipeline_tag == "feature-extraction"
    code = f"""
import json
import numpy as np
from transformers import AutoFeatureExtractor, AutoModel, AutoTokenizer
trust = {{"trust_remote_code": True}}
model = AutoModel.from_pretrained("org/both", **trust).eval()
speech = np.random.default_rng(0).uniform(-0.5, 0.5, 16000).astype(np.float32)
heard = AutoFeatureExtractor.from_pretrained("org/both", **trust)([speech, speech], sampling_rate=16000)
read = AutoTokenizer.from_pretrained("org/both", **trust)({TEXTS!r}, padding=True, return_tensors="pt")
out = model(input_features=heard["input_features"], attention_mask=heard["attention_mask"],
            input_ids=read["input_ids"], text_attention_mask=read["attention_mask"])
print(json.dumps([out.audio_embeds.tolist(), out.text_embeds.tolist()]))
"""
    done = python(code, client.url, tmp_path / "home", interpreter=bare_python)
    assert done.returncode == 0, done.stderr[-3000:]
    heard, read = (torch.tensor(part) for part in json.loads(done.stdout.splitlines()[-1]))
    torch.testing.assert_close(heard, audio_embeds, rtol=0, atol=1e-4)
    torch.testing.assert_close(read, text_embeds, rtol=0, atol=1e-4)


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_an_encoder_that_the_aligner_was_not_trained_on_is_refused(
    client, run, tiny_encoder, text_encoder, tmp_path, modality
):
    source = tiny_encoder if modality == "audio" else text_encoder
    shutil.copytree(source, tmp_path / "tuned")
    model = AutoModel.from_pretrained(source)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.01
    model.save_pretrained(tmp_path / "tuned")
    flags = [f"--{modality}-encoder", tmp_path / "tuned"]
    with pytest.raises(ValueError, match=rf"--{modality}-encoder has the weights .*wanted those .* trained on: tiny-"):
        publish(run[0] / "aligner", "--repo", "org/both", "--redistribution", "yes", *flags)
    assert not client.requests
