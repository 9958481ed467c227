"""Models fitted to real features, what was measured of them, and a Hub on loopback to publish them to."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from isolated import CLIPS, environment_with
from loopback import WRITER, loopback_hub
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperModel

from mise_hf import (
    MiseAligner,
    MiseAlignerConfig,
    MiseForAudioClassification,
    MiseGenerator,
    MiseGeneratorConfig,
    MiseSerConfig,
)
from mise_hf.features.audio import read_audio
from mise_hf.features.embedded import load_embedded
from mise_hf.features.encoders import load_audio_encoder
from mise_hf.metrics.mise_quality.carried import carried_information
from mise_hf.metrics.mise_quality.information import label_information
from mise_hf.metrics.mise_quality.memorisation import memorisation
from mise_hf.models.pooling_mise import pooled_audio_states

LAYER = 3
EMODB = {"name": "EmoDB", "licence": "CC0-1.0", "language": "de"}


def fitted_head(config: MiseSerConfig, space, states: np.ndarray, labels: np.ndarray) -> MiseForAudioClassification:
    """A linear head whose weights are scikit-learn's."""
    head = MiseForAudioClassification(config)
    head.space.load_state_dict(space.state_dict())
    features = head.space.project(torch.from_numpy(states)).numpy()
    fit = LogisticRegression(C=0.01, max_iter=500).fit(features, labels)
    with torch.no_grad():
        head.classifier.weight[:] = torch.from_numpy(fit.coef_).float()
        head.classifier.bias[:] = torch.from_numpy(fit.intercept_).float()
    return head.eval()


def recall(head: MiseForAudioClassification, states: np.ndarray, labels: np.ndarray) -> float:
    with torch.no_grad():
        guessed = head(audio_states=torch.from_numpy(states)).logits.argmax(1).numpy()
    return float(recall_score(labels, guessed, average="macro"))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """A run on the embedded EmoDB: 8 speakers train, 2 test; every number of results.json is measured here."""
    run = tmp_path_factory.mktemp("runs") / "emodb"
    table = load_embedded("emodb")
    states, labels = table.layer(LAYER), table.labels
    test = np.isin(table.speakers, np.unique(table.speakers)[:2])
    withheld = ~test & (np.random.default_rng(0).random(len(table)) < 0.25)
    seen = ~test & ~withheld
    torch.manual_seed(0)
    names = dict(enumerate(table.label_names))
    common = {"id2label": names, "feature_fingerprint": table.fingerprint, "feature_size": 16, "state_size": 1024}
    corpora = [EMODB | {"utterances": int(seen.sum()), "speakers": len(set(table.speakers[seen]))}]
    generator = MiseGenerator(
        MiseGeneratorConfig(noise_size=16, hidden_size=32, state_layers=[LAYER], training_corpora=corpora, **common)
    )
    generator.space.fit(torch.from_numpy(states[seen]))
    features = generator.space.project(torch.from_numpy(states))
    generator.start_from(features[seen], torch.from_numpy(labels[seen])).eval()
    made = generator.generate(torch.from_numpy(labels[seen]), generator=torch.Generator().manual_seed(0)).features
    head = fitted_head(
        MiseSerConfig(head="linear", state_layers=[LAYER], **common), generator.space, states[seen], labels[seen]
    )
    aligner = MiseAligner(
        MiseAlignerConfig(
            id2label=names,
            feature_fingerprint=table.fingerprint,
            audio_state_size=1024,
            text_state_size=0,
            projection_size=8,
        )
    )
    aligner.audio_tower.fit_scaler(torch.from_numpy(table.audio_states[seen]).float())
    real, fake, speakers = features.numpy(), made.numpy(), table.speakers
    copies = memorisation(fake, real[seen], real[withheld], training_speakers=speakers[seen],
                          withheld_speakers=speakers[withheld], n_refits=20)  # fmt: skip
    told = {
        "real": label_information(labels[seen], real[seen], n_permutations=2),
        "synthetic": label_information(labels[seen], fake, n_permutations=2),
    }
    carried = {
        "real": carried_information(real[seen], labels[seen], real[test], labels[test]).value,
        "synthetic": carried_information(fake, labels[seen], real[test], labels[test]).value,
    }
    write_results(
        run,
        corpora=corpora,
        uar={"logistic regression": {"mean": recall(head, states[test], labels[test]), "std": 0.0, "folds": 1,
                                     "seeds": 1}},
        mutual_information={k: {"value": v.value, "null_95": v.null_95} for k, v in told.items()},
        carried_information=carried,
        memorisation={"share": copies.share, "null_95": copies.null_95},
        fingerprint=table.fingerprint,
        training={"seed": 0, "state_layers": [LAYER], "C": 0.01},
    )  # fmt: skip
    for name, model in (("generator", generator), ("ser", head), ("aligner", aligner)):
        model.save_pretrained(run / name)
    return run


def write_results(folder: Path, **entries) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(entries), encoding="utf-8")


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory) -> Path:
    """A Whisper of random weights and 16 dimensions, with its own preprocessor, as a folder."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny-whisper"
    torch.manual_seed(1)
    config = WhisperConfig(
        d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, vocab_size=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=3, begin_suppress_tokens=None,
    )  # fmt: skip
    WhisperModel(config).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def hearing_run(tmp_path_factory, tiny_encoder) -> Path:
    """A recogniser of the 20 test clips over the tiny encoder's states: one speaker trains, the other tests."""
    run = tmp_path_factory.mktemp("runs") / "hearing"
    encoder = load_audio_encoder(str(tiny_encoder), [1])
    clips = sorted(CLIPS.glob("*.flac"))
    letters = "WLEAFTN"
    names = ("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral")
    labels = np.array([letters.index(clip.name[5]) for clip in clips])
    speakers = np.array([clip.name[:2] for clip in clips])
    inputs = encoder.extractor([read_audio(clip, sampling_rate=16000) for clip in clips], sampling_rate=16000)
    with torch.no_grad():
        pooled = pooled_audio_states(encoder.model, inputs["input_features"], inputs["attention_mask"], [1])
    states, seen = pooled[:, 0].numpy(), speakers == "13"
    fingerprint = {"audio_encoder": encoder.identity, "audio_layers": [1], "pooling": "mean+std",
                   "sampling_rate": 16000}  # fmt: skip
    config = MiseSerConfig(
        id2label=dict(enumerate(names)), feature_fingerprint=fingerprint, feature_size=6, state_size=32,
        state_layers=[1], head="linear",
    )  # fmt: skip
    space = MiseForAudioClassification(config).space.fit(torch.from_numpy(states[seen]))
    head = fitted_head(config, space, states[seen], labels[seen])
    write_results(
        run,
        corpora=[EMODB | {"utterances": int(seen.sum()), "speakers": 1}],
        uar={"logistic regression": {"mean": recall(head, states[~seen], labels[~seen]), "std": 0.0, "folds": 1,
                                     "seeds": 1}},
        fingerprint=fingerprint,
        training={"C": 0.01},
    )  # fmt: skip
    head.save_pretrained(run / "ser")
    return run


@pytest.fixture
def hub():
    with loopback_hub() as running:
        yield running


@pytest.fixture
def client(hub, monkeypatch, tmp_path):
    """The real client of this process, told to use the loopback Hub and a cache of its own."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    # transformers keeps one client for the life of the process.
    monkeypatch.setattr("transformers.utils.hub._hf_api", None)
    monkeypatch.setenv("HF_TOKEN", WRITER)
    return hub


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory) -> Path:
    """An interpreter with torch and transformers, what those need, and nothing else."""
    return environment_with(tmp_path_factory.mktemp("bare"), "torch", "transformers")
