import json

import numpy as np
import pytest
import torch
from tiny_encoders import waveform_encoder
from transformers import (
    AutoFeatureExtractor,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WhisperFeatureExtractor,
    pipeline,
)

from mise_hf.models.feature_extraction_mise import MiseFeatureExtractor


def speech(samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def test_log_mel_is_whispers_at_the_true_length():
    clips = [speech(480000), speech(40000, 1)]
    batch = MiseFeatureExtractor(kind="log_mel")(clips, sampling_rate=16000)
    assert batch["input_features"].shape == (2, 80, 3000) and batch["attention_mask"].sum(-1).tolist() == [3000, 250]
    theirs = WhisperFeatureExtractor()(clips[0], sampling_rate=16000, return_tensors="pt")["input_features"]
    assert torch.equal(batch["input_features"][:1], theirs)
    padded = WhisperFeatureExtractor()(clips[1], sampling_rate=16000, return_tensors="pt")["input_features"]
    # Only the frames whose Fourier transform reaches over the end see silence there and a reflection here.
    np.testing.assert_allclose(batch["input_features"][1, :, :248], padded[0, :, :248], atol=1e-5)
    assert (batch["input_features"][1, :, 250:] == 0).all()


def test_waveforms_are_those_of_wav2vec2():
    clips = [speech(16000), speech(12000, 1) + 0.3]
    ours = MiseFeatureExtractor(kind="waveform")(clips, sampling_rate=16000)
    theirs = Wav2Vec2FeatureExtractor(return_attention_mask=True)(
        clips, sampling_rate=16000, padding=True, return_tensors="pt"
    )
    np.testing.assert_allclose(ours["input_values"], theirs["input_values"], atol=1e-6)
    assert ours["attention_mask"].tolist() == theirs["attention_mask"].tolist()
    plain = MiseFeatureExtractor(kind="waveform", do_normalize=False)(clips[1], sampling_rate=16000)
    assert np.array_equal(plain["input_values"][0], clips[1])


def test_a_list_of_floats_and_a_tensor_are_one_waveform():
    clip = speech(4000)
    extractor = MiseFeatureExtractor()
    wanted = extractor(clip, sampling_rate=16000, return_tensors="np")["input_features"]
    for same in (clip.tolist(), torch.from_numpy(clip), [clip], clip[None]):
        got = extractor(same, sampling_rate=16000, return_tensors="np")["input_features"]
        np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize("given", [{}, {"sampling_rate": None}, {"sampling_rate": 8000}])
def test_a_missing_or_other_sampling_rate_is_refused_by_both_names(given):
    with pytest.raises(ValueError, match=f"sampling_rate is {given.get('sampling_rate')} Hz; wanted .*16000"):
        MiseFeatureExtractor()(speech(4000), **given)


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (np.zeros(0, np.float32), "empty"),
        (np.zeros(8000, np.float32), "silent"),
        (np.full(8000, 0.25, np.float32), "silent"),
        (np.array([0.1] * 8000 + [np.nan], np.float32), "NaN"),
        (np.array([0.1] * 8000 + [np.inf], np.float32), "NaN or infinity"),
        (speech(399), "399 samples; wanted at least 400"),
        (np.ones((1, 2, 4000), np.float32), r"shape \(2, 4000\)"),
        (np.arange(4000, dtype=np.int16), "int16"),
        ([], "no waveform"),
        (speech(16000 * 31), "31.0 s; wanted at most 30 s"),
    ],
)
def test_bad_audio_is_refused(audio, said):
    with pytest.raises(ValueError, match=said):
        MiseFeatureExtractor(maximum_seconds=30.0)(audio, sampling_rate=16000)


@pytest.mark.parametrize("options", [{"padding": "max_length"}, {"return_attention_mask": False}, {"truncation": True}])
def test_options_that_ask_for_something_else_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MiseFeatureExtractor()(speech(4000), sampling_rate=16000, **options)


@pytest.mark.parametrize("bad", [{"kind": "mfcc"}, {"sampling_rate": 0}, {"hop_length": -1}, {"n_fft": 1.5}])
def test_a_bad_configuration_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        MiseFeatureExtractor(**bad)


def test_save_and_load_give_the_same_numbers_with_and_without_the_package(tmp_path):
    extractor = MiseFeatureExtractor(feature_size=40, maximum_seconds=30.0)
    extractor.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert saved["auto_map"] == {"AutoFeatureExtractor": "feature_extraction_mise.MiseFeatureExtractor"}
    wanted = extractor(speech(4000), sampling_rate=16000)["input_features"]
    hub_copy = AutoFeatureExtractor.from_pretrained(tmp_path, trust_remote_code=True)
    for loaded in (MiseFeatureExtractor.from_pretrained(tmp_path), hub_copy):
        assert torch.equal(loaded(speech(4000), sampling_rate=16000)["input_features"], wanted)
        assert loaded.to_dict() == extractor.to_dict()


def test_for_encoder_reads_the_encoders_own_preprocessor(tmp_path):
    WhisperFeatureExtractor(feature_size=128, chunk_length=20).save_pretrained(tmp_path / "whisper")
    whisper = MiseFeatureExtractor.for_encoder(tmp_path / "whisper")
    assert (whisper.kind, whisper.feature_size, whisper.maximum_seconds) == ("log_mel", 128, 20.0)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path / "wav2vec2")
    wav2vec2 = MiseFeatureExtractor.for_encoder(tmp_path / "wav2vec2")
    assert (wav2vec2.kind, wav2vec2.do_normalize, wav2vec2.maximum_seconds) == ("waveform", False, None)
    SeamlessM4TFeatureExtractor().save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match="SeamlessM4TFeatureExtractor; wanted Whisper"):
        MiseFeatureExtractor.for_encoder(tmp_path / "other")


def test_the_audio_classification_pipeline_runs_on_it():
    config = waveform_encoder("wav2vec2").config
    config.num_labels = 3
    torch.manual_seed(0)
    model = Wav2Vec2ForSequenceClassification(config).eval()
    extractor = MiseFeatureExtractor(kind="waveform")
    classify = pipeline("audio-classification", model=model, feature_extractor=extractor, device="cpu")
    found = classify({"raw": speech(8000), "sampling_rate": 8000})
    assert len(found) == 3 and abs(sum(entry["score"] for entry in found) - 1) < 1e-5
