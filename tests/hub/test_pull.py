"""Pulling in fresh processes with an empty cache: the four ways, by revision, offline, in a pipeline, in `map`."""

import json
import os
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from isolated import CLIPS, environment_with, publish_command, python
from loopback import loopback_hub

from mise_hf import MiseGenerator
from mise_hf.prediction import load_predictor, predict_files

GENERATE = """
def drawn(generator):
    return generator.generate(["anger", "neutral"], generator=torch.Generator().manual_seed(0)).features.tolist()
"""


@pytest.fixture(scope="module")
def there(run_folder, hearing_run, tiny_encoder, tmp_path_factory):
    """A Hub with the run's three models, another generator on a branch, and a recogniser that hears."""
    home = tmp_path_factory.mktemp("publisher")
    other = home / "other"
    shutil.copytree(run_folder, other)
    changed = MiseGenerator.from_pretrained(other / "generator")
    with torch.no_grad():
        changed.class_means.weight += 1
    changed.save_pretrained(other / "generator")
    with loopback_hub() as hub:
        publish_command(hub, home, run_folder, "org/mise")
        publish_command(hub, home, other / "generator", "org/mise-generator", "--revision", "v2")
        publish_command(hub, home, hearing_run / "ser", "org/hearing", "--audio-encoder", tiny_encoder)
        local = MiseGenerator.from_pretrained(run_folder / "generator")
        expected = local.generate(["anger", "neutral"], generator=torch.Generator().manual_seed(0)).features
        v2 = hub.repos["models/org/mise-generator"].branches["v2"]
        yield SimpleNamespace(hub=hub, url=hub.url, features=expected.tolist(), v2=v2)


@pytest.fixture(scope="module")
def wav(tmp_path_factory):
    path = tmp_path_factory.mktemp("wav") / "speech.wav"
    soundfile.write(path, *soundfile.read(CLIPS / "13a01Wb.flac"), subtype="PCM_16")
    return path


def printed(done):
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_with_torch_and_transformers_only_then_again_offline(
    there, bare_python, wav, hearing_run, tiny_encoder, tmp_path
):
    code = (
        GENERATE
        + f"""
import importlib.util, json, sys, wave
import numpy as np, torch
from transformers import AutoModel, AutoModelForAudioClassification, pipeline
absent = ("mise_hf", "datasets", "soundfile", "scipy", "sklearn", "accelerate")
assert not any(importlib.util.find_spec(name) for name in absent)
trust = {{"trust_remote_code": True}}
generator = AutoModel.from_pretrained("org/mise-generator", **trust)
sha = AutoModel.from_pretrained("org/mise-generator", revision={there.v2!r}, **trust)
branch = AutoModel.from_pretrained("org/mise-generator", revision="v2", **trust)
ser = AutoModelForAudioClassification.from_pretrained("org/mise-ser", **trust)
aligner = AutoModel.from_pretrained("org/mise-aligner", **trust)
recognise = pipeline("audio-classification", model="org/hearing", top_k=7, **trust)
with wave.open({str(wav)!r}) as file:
    samples = np.frombuffer(file.readframes(-1), dtype=np.int16).astype(np.float32) / 32768
logits = ser(audio_states=torch.ones(2, 1024)).logits
assert logits.shape == (2, 7) and type(ser).__module__.startswith("transformers_modules.")
assert aligner(audio_states=torch.ones(2, 4, 1024)).audio_embeds.shape == (2, 8)
print(json.dumps({{"main": drawn(generator), "v2": drawn(branch), "sha": drawn(sha), "heard": recognise(samples)}}))
"""
    )
    home = tmp_path / "home"
    online = printed(python(code, there.url, home, interpreter=bare_python))
    assert online["main"] == there.features
    assert np.allclose(np.array(online["v2"]) - online["main"], 1, atol=1e-5) and online["sha"] == online["v2"]
    expected = predicted(hearing_run, tiny_encoder, wav)
    assert {entry["label"]: entry["score"] for entry in online["heard"]} == pytest.approx(expected, abs=1e-4)
    before = len(there.hub.requests)
    offline = printed(python(code, there.url, home, interpreter=bare_python, HF_HUB_OFFLINE="1"))
    assert offline == online and len(there.hub.requests) == before


def predicted(run, encoder, wav) -> dict[str, float]:
    """What `mise-hf predict` says of a file, with the encoder from its own folder."""
    return predict_files(*load_predictor(run / "ser", str(encoder)), [wav])[0]


# Does what transformers asks of the ffmpeg program (16-bit 16 kHz mono wav in, the same as f32le out) and nothing else.
STAND_IN = """#!{python}
import io, sys, wave
import numpy as np
asked = "-i pipe:0 -ac 1 -ar 16000 -f f32le -hide_banner -loglevel quiet pipe:1"
if " ".join(sys.argv[1:]) == asked:
    with wave.open(io.BytesIO(sys.stdin.buffer.read())) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 16000, 2)
        samples = np.frombuffer(file.readframes(-1), np.int16)
    sys.stdout.buffer.write((samples / 32768).astype("<f4").tobytes())
"""


@pytest.mark.parametrize("program", ["ffmpeg", "stand-in"])
def test_pipeline_on_a_path(there, bare_python, wav, hearing_run, tiny_encoder, tmp_path, program):
    extra = {}
    if program == "stand-in":
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "ffmpeg").write_text(STAND_IN.format(python=sys.executable))
        (tmp_path / "bin" / "ffmpeg").chmod(0o755)
        extra["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    elif shutil.which("ffmpeg") is None:
        pytest.skip("the ffmpeg program is not here; its stand-in is tried instead")
    code = f"""
import json
from transformers import pipeline
recognise = pipeline("audio-classification", model="org/hearing", trust_remote_code=True, top_k=7)
print(json.dumps(recognise({str(wav)!r})))
"""
    heard = printed(python(code, there.url, tmp_path / "home", interpreter=bare_python, **extra))
    expected = predicted(hearing_run, tiny_encoder, wav)
    assert {entry["label"]: entry["score"] for entry in heard} == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("flag", ["", ", trust_remote_code=True"], ids=["package alone", "package and flag"])
def test_with_the_package_the_local_classes_win(there, tmp_path, flag):
    code = (
        GENERATE
        + f"""
import json
import mise_hf, torch
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, pipeline
generator = AutoModel.from_pretrained("org/mise-generator"{flag})
ser = AutoModelForAudioClassification.from_pretrained("org/mise-ser"{flag})
extractor = AutoFeatureExtractor.from_pretrained("org/hearing"{flag})
assert type(generator) is mise_hf.MiseGenerator and type(ser) is mise_hf.MiseForAudioClassification
assert type(extractor) is mise_hf.MiseFeatureExtractor
assert type(AutoModel.from_pretrained("org/mise-aligner"{flag})) is mise_hf.MiseAligner
assert type(pipeline("audio-classification", model="org/hearing"{flag}).model) is mise_hf.MiseForAudioClassification
print(json.dumps(drawn(generator)))
"""
    )
    assert printed(python(code, there.url, tmp_path / "home")) == there.features


def test_without_package_and_flag_the_error_says_which_flag(there, bare_python, tmp_path):
    code = """
from transformers import AutoModel
AutoModel.from_pretrained("org/mise-generator")
"""
    done = python(code, there.url, tmp_path / "home", interpreter=bare_python)
    assert done.returncode != 0 and "trust_remote_code=True" in done.stderr
    assert "Traceback" in done.stderr and "ValueError" in done.stderr


def test_generator_from_the_hub_in_map_without_the_package(there, tmp_path):
    interpreter = environment_with(tmp_path / "venv", "torch", "transformers", "datasets")
    code = """
import importlib.util, json
import torch
from datasets import Dataset
from transformers import AutoModel
assert importlib.util.find_spec("mise_hf") is None
generator = AutoModel.from_pretrained("org/mise-generator", trust_remote_code=True)
def add(batch):
    made = generator.generate(batch["emotion"], generator=torch.Generator().manual_seed(0))
    return {"features": made.features.numpy()}
rows = Dataset.from_dict({"emotion": ["anger", "neutral"]}).map(add, batched=True)
print(json.dumps(rows["features"][:]))
"""
    done = python(code, there.url, tmp_path / "home", interpreter=interpreter)
    assert printed(done) == there.features
