"""Hostile configurations and weights: a clear error in under a second and under 200 MB, and nothing of theirs runs."""

import json
import shutil
import struct
from pathlib import Path

import pytest
import torch
from isolated import python
from transformers import WhisperConfig

from mise_hf import MiseForAudioClassification, MiseGenerator, MiseSerConfig

HUGE = 10**9
WHISPER = {"model_type": "whisper", "d_model": 16, "encoder_layers": 1, "decoder_layers": 1}
# Seconds of this process: another process that keeps the machine busy is no fault of the file.
SECONDS, MEGABYTES = 1.0, 200

# (model, what replaces entries of config.json, what the error must say)
CONFIGS = {
    "huge feature": ("generator", {"feature_size": HUGE}, "feature_size is 1000000000; wanted an integer from 1 to"),
    "huge product": ("generator", {"hidden_size": 65536, "num_hidden_layers": 64}, "wanted at most 40,000,000"),
    "huge head": ("ser", {"head": "mlp", "hidden_size": 65536, "feature_size": 65536}, "wanted at most 40,000,000"),
    "huge aligner": ("aligner", {"projection_size": 65536}, "wanted at most 40,000,000"),
    "fitting but not there": ("generator", {"hidden_size": 4096}, "have another shape than its configuration says"),
    "more layers than weights": ("generator", {"num_hidden_layers": 9}, "are missing"),
    "fewer layers than weights": ("generator", {"num_hidden_layers": 0}, "do not belong to it"),
    "negative": ("generator", {"noise_size": -1}, "noise_size is -1"),
    "zero": ("ser", {"feature_size": 0}, "feature_size is 0"),
    "float": ("generator", {"hidden_size": 32.0}, "hidden_size"),
    "text": ("generator", {"hidden_size": "32"}, "hidden_size"),
    "list": ("ser", {"state_size": [1024]}, "state_size"),
    "true": ("generator", {"feature_size": True}, "feature_size"),
    "null": ("generator", {"noise_size": None}, "noise_size"),
    "not a number": ("ser", {"dropout": float("nan")}, "dropout is nan"),
    "infinite": ("aligner", {"temperature": float("inf")}, "temperature is inf"),
    "unknown space": ("generator", {"space": "../../etc/passwd"}, "space"),
    "list as space": ("generator", {"space": ["encoder"]}, "space"),
    "unknown key": ("generator", {"feature_sise": 16}, "unknown keys feature_sise"),
    "method as key": ("generator", {"to_dict": "x"}, "to_dict"),
    "class as key": ("ser", {"__class__": "x"}, "__class__"),
    "many labels": ("generator", {"id2label": {str(i): str(i) for i in range(20_000)}}, "1 to 10000 labels"),
    "num_labels": ("generator", {"num_labels": HUGE}, "num_labels is 1000000000"),
    "label gap": ("generator", {"id2label": {"0": "a", "7": "b"}}, "without a gap"),
    "label type": ("generator", {"id2label": {"0": ["a"]}}, "a number and a name"),
    "label list": ("generator", {"id2label": ["a", "b"]}, "id2label"),
    "label ids": ("generator", {"id2label": {"../x": "a"}}, "a number and a name"),
    "fingerprint": ("generator", {"feature_fingerprint": "x"}, "feature_fingerprint"),
    "corpora": ("generator", {"training_corpora": {"a": 1}}, "training_corpora"),
    "dtype": ("generator", {"dtype": "__class__"}, "dtype"),
    "layers": ("aligner", {"audio_layers": list(range(100))}, "audio_layers"),
    "layer type": ("aligner", {"audio_layers": [[1], 2, 3, 4]}, "a layer of audio_layers"),
    "encoder width": ("ser", {"audio_config": {**WHISPER, "d_model": HUGE}}, "audio_config.d_model is 1000000000"),
    "encoder depth": ("ser", {"audio_config": {**WHISPER, "encoder_layers": HUGE}}, "audio_config.encoder_layers"),
    "encoder labels": ("ser", {"audio_config": {**WHISPER, "num_labels": HUGE}}, "audio_config.num_labels"),
    "encoder positions": ("ser", {"audio_config": {**WHISPER, "max_source_positions": HUGE}}, "max_source_positions"),
    "encoder not there": ("ser", {"audio_config": {**WHISPER, "d_model": 16384, "encoder_layers": 64,
                                                   "encoder_attention_heads": 1, "decoder_attention_heads": 1}},
                          "are missing"),
    "encoder type": ("ser", {"audio_config": {"model_type": "../../evil"}}, "evil"),
    "encoder text": ("ser", {"audio_config": "whisper"}, "audio_config"),
    "encoder nested": ("ser", {"audio_config": {**WHISPER, "a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}}, "deeper"),
    "aligner inside": ("ser", {"space": "aligned", "aligner_config": {"projection_size": HUGE}}, "projection_size"),
    "no aligner inside": ("ser", {"space": "aligned"}, "wanted"),
}  # fmt: skip


def header_of(data: bytes) -> tuple[dict, bytes]:
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def with_header(header: dict, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def lying(data: bytes, **changes) -> bytes:
    header, body = header_of(data)
    name = "class_means.weight"
    return with_header(header | {name: header[name] | changes}, body)


def renamed(data: bytes) -> bytes:
    header, body = header_of(data)
    header["other.weight"] = header.pop("class_means.weight")
    return with_header(header, body)


def extra(data: bytes) -> bytes:
    header, body = header_of(data)
    header["smuggled"] = {"dtype": "F32", "shape": [4], "data_offsets": [len(body), len(body) + 16]}
    return with_header(header, body + bytes(16))


def transposed(data: bytes) -> bytes:
    header, body = header_of(data)
    header["class_means.weight"]["shape"].reverse()
    return with_header(header, body)


WEIGHTS = {
    "extra tensor": (extra, "1 do not belong to it (such as smuggled)"),
    "renamed tensor": (renamed, "are missing"),
    "transposed": (transposed, "another shape"),
    "shape beyond the bytes": (lambda data: lying(data, shape=[HUGE, HUGE]), "no whole safetensors file"),
    "offsets beyond the file": (lambda data: lying(data, data_offsets=[0, 2**40]), "no whole safetensors file"),
    "offsets backwards": (lambda data: lying(data, data_offsets=[8, 0]), "no whole safetensors file"),
    "unknown dtype": (lambda data: lying(data, dtype="PICKLE"), "no whole safetensors file"),
    "header longer than the file": (lambda data: struct.pack("<Q", 2**40) + data[8:], "no whole safetensors file"),
    "header of the greatest length": (lambda data: b"\xff" * 8 + data[8:], "no whole safetensors file"),
    "no header": (lambda data: b"", "no whole safetensors file"),
    "cut off": (lambda data: data[:-7], "no whole safetensors file"),
    "pickle in disguise": (lambda data: b"\x80\x04cos\nsystem\n(S'touch owned'\ntR.", "no whole safetensors file"),
    "header is no mapping": (lambda data: struct.pack("<Q", 2) + b"[]", "no whole safetensors file"),
}

PREPROCESSORS = {
    "huge transform": ({"n_fft": HUGE}, "n_fft is 1000000000"),
    "huge bins": ({"feature_size": HUGE}, "feature_size is 1000000000"),
    "text rate": ({"sampling_rate": "16000"}, "sampling_rate is '16000'"),
    "unknown kind": ({"kind": "../x"}, "kind is '../x'"),
    "method as key": ({"check": 1}, "unknown keys check"),
}

CHILD = """
import json, resource, sys, time
import mise_hf
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
for loader, folder in ((AutoModel, "generator"), (AutoModel, "aligner"), (AutoModelForAudioClassification, "ser")):
    loader.from_pretrained(f"{sys.argv[1]}/{folder}")
loaders = {"generator": AutoModel, "aligner": AutoModel, "ser": AutoModelForAudioClassification,
           "preprocessor": AutoFeatureExtractor}
for folder, kind in json.loads(sys.argv[2]):
    before, start, said = peak(), time.process_time(), None
    try:
        loaders[kind].from_pretrained(folder)
    except (ValueError, OSError) as error:
        said = str(error)
    except Exception as error:
        said = f"!{type(error).__name__}: {error}"
    print(json.dumps([folder, said, time.process_time() - start, peak() - before]), flush=True)
"""


@pytest.fixture(scope="module")
def answers(run_folder, tmp_path_factory):
    """What loading each hostile folder said, its seconds and how many MB the peak rose, in one fresh process."""
    root = tmp_path_factory.mktemp("hostile")
    cases = []
    for name, (kind, changes, _) in CONFIGS.items():
        folder = root / f"config {name}"
        shutil.copytree(run_folder / kind, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))
        cases.append((str(folder), kind))
    for name, (change, _) in WEIGHTS.items():
        folder = root / f"weights {name}"
        shutil.copytree(run_folder / "generator", folder)
        (folder / "model.safetensors").write_bytes(change((folder / "model.safetensors").read_bytes()))
        cases.append((str(folder), "generator"))
    for name, (changes, _) in PREPROCESSORS.items():
        folder = root / f"preprocessor {name}"
        folder.mkdir()
        said = {"feature_extractor_type": "MiseFeatureExtractor", "kind": "log_mel"} | changes
        (folder / "preprocessor_config.json").write_text(json.dumps(said))
        (folder / "config.json").write_text((run_folder / "ser" / "config.json").read_text())
        cases.append((str(folder), "preprocessor"))
    code = f"import sys; sys.argv[1:] = [{str(run_folder)!r}, {json.dumps(cases)!r}]\n{CHILD}"
    done = python(code, "http://127.0.0.1:9", root / "home", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert not list(root.rglob("owned"))
    return {folder.rpartition("/")[2]: rest for folder, *rest in found}


EVERY = (
    [(f"config {name}", said) for name, (_, _, said) in CONFIGS.items()]
    + [(f"weights {name}", said) for name, (_, said) in WEIGHTS.items()]
    + [(f"preprocessor {name}", said) for name, (_, said) in PREPROCESSORS.items()]
)


@pytest.mark.parametrize(("name", "wanted"), EVERY, ids=[name for name, _ in EVERY])
def test_hostile_files_are_refused_in_time(answers, name, wanted):
    said, seconds, megabytes = answers[name]
    assert said is not None and wanted in said, said
    assert not said.startswith("!"), said
    assert seconds < SECONDS and megabytes < MEGABYTES, (seconds, megabytes)


def test_a_configuration_that_is_built_without_weights_is_bounded_too():
    with pytest.raises(ValueError, match="wanted at most 40,000,000"):
        MiseSerConfig(feature_size=60_000, state_size=60_000)


def test_code_named_in_an_encoders_configuration_does_not_run(tmp_path):
    """auto_map of a stranger's sub-configuration, inside a configuration that asks for no remote code."""
    marker = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w')")
    config = WhisperConfig(d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=1,
                           decoder_attention_heads=1, vocab_size=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                           decoder_start_token_id=3).to_dict()  # fmt: skip
    config["auto_map"] = {"AutoModel": f"{tmp_path}--evil.Evil", "AutoConfig": f"{tmp_path}--evil.Evil"}
    model = MiseForAudioClassification(MiseSerConfig(audio_config=config, state_size=32, feature_size=4))
    assert type(model.audio_encoder).__module__.startswith("transformers.") and not marker.exists()


@pytest.mark.parametrize(
    "target", ["../generator/model.safetensors", "/etc/passwd", "../../../../etc/passwd", "evil.bin", "a/b.safetensors"]
)
def test_an_index_that_points_elsewhere_is_refused(run_folder, tmp_path, target):
    marker = tmp_path / "ran"
    folder = tmp_path / "model"
    shutil.copytree(run_folder / "generator", folder)
    names = list(header_of((folder / "model.safetensors").read_bytes())[0])
    shutil.copytree(run_folder / "generator", tmp_path / "generator")
    shutil.copytree(run_folder / "generator", folder / "a")
    (folder / "a" / "model.safetensors").rename(folder / "a" / "b.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(Touching(marker), folder / "evil.bin")
    index = {"metadata": {}, "weight_map": {name: target for name in names if name != "__metadata__"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = json.loads((folder / "config.json").read_text())
    del config["dtype"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="wanted safetensors files beside it"):
        MiseGenerator.from_pretrained(folder)
    assert not marker.exists()


class Touching:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)
