"""The demo as a user runs it, once, at its real size; every figure that it reports is held against its own files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score

from mise_hf.commands.demo import describe
from mise_hf.report.page import write_report

EMOTIONS = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}


def mise_hf(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([sys.executable, "-m", "mise_hf.cli", *arguments], capture_output=True, text=True)
    assert done.returncode == expect, done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def run(demo_run) -> tuple[Path, str]:
    return demo_run.folder, demo_run.printed


@pytest.fixture(scope="module")
def results(run) -> dict:
    return json.loads((run[0] / "results.json").read_text())


def test_it_leaves_what_it_says(run, results):
    out, printed = run
    for name in ("aligner", "generator", "ser"):
        assert (out / name / "model.safetensors").is_file() and (out / name / "config.json").is_file()
    assert printed.strip() == describe(results, out).strip()
    assert all(verdict in printed for verdict in results["verdicts"])
    assert results["seconds"] < 600


def test_results_are_recomputed_from_the_predictions(run, results):
    frame = pd.read_parquet(run[0] / "predictions.parquet")
    checked = 0
    for key, scene in (("in_corpus", "in-corpus"), ("sharing", "sharing")):
        for share, table in results[key].items():
            part = frame[(frame["scene"] == scene) & (frame["share"] == float(share))]
            baseline = part[part["method"] == table["baseline"]].sort_values("id")
            base = recall_score(baseline["label"], baseline["prediction"], average="macro")
            assert set(part["method"]) == set(table["methods"])
            for method, entry in table["methods"].items():
                rows = part[part["method"] == method].sort_values("id")
                assert list(rows["id"]) == list(baseline["id"]) and rows["id"].is_unique
                uar = recall_score(rows["label"], rows["prediction"], average="macro")
                assert entry["uar"] == pytest.approx(uar)
                folds = [
                    recall_score(fold["label"], fold["prediction"], average="macro", labels=sorted(set(fold["label"])))
                    for _, fold in rows.groupby("fold")
                ]
                assert entry["uar_folds"] == pytest.approx(folds)
                if method != table["baseline"]:
                    assert entry["difference"] == pytest.approx(uar - base)
                    checked += 1
    assert checked > 20


def test_every_clip_of_every_speaker_is_tested_once_at_the_low_share(run):
    frame = pd.read_parquet(run[0] / "predictions.parquet")
    part = frame[(frame["scene"] == "in-corpus") & (frame["share"] == 0.3) & (frame["method"] == "MISE")]
    assert len(part) == part["id"].nunique() == 535 and part["speaker"].nunique() == 10


def test_the_saved_generator_carries_the_emotion_and_is_spread(results):
    quality = results["quality"]
    assert quality["carried_share"] >= 0.9
    assert quality["recall"] > 0
    assert 0.5 <= quality["within_class_variance_ratio"] <= 2
    assert quality["memorisation"]["share"] <= quality["memorisation"]["null_95"]


def test_information_lies_above_its_null_and_below_the_entropy(results):
    measures = next(cell["measures"] for cell in results["cells"] if cell["share"] == 1.0)
    for name in ("real rows", "MISE"):
        found = measures[name]["label_information"]
        assert found["null_95"] < found["value"] <= found["entropy"]
    # EmoDB's sentences carry no emotion and every feature is conditioned on one: the text is in the synthetic rows.
    text = measures["MISE"]["text_information"]
    assert text["null_95"] < text["value"] <= 2.31


def test_the_report_stands_alone(run):
    page = (run[0] / "report.html").read_text()
    assert page.count("<svg") >= 6
    assert not re.search(r'(?:src|href)\s*=\s*"(?:https?:)?//', page)
    assert str(run[0]) not in page
    for name in ("MISE", "shrinkage LDA", "B + MISE of A"):
        assert name in page
    assert write_report(run[0]).read_text() == page


def test_predict_names_the_emotion_of_recordings_that_nothing_has_heard(run, clips_dir, shared_dir):
    """The checkpoints were trained on the other eight speakers: 16 of 20 clips must be right."""
    clips = sorted(clips_dir.glob("*.flac"))
    assert len(clips) == 20
    config = json.loads((run[0] / "generator" / "config.json").read_text())
    heard = set(config["training_corpora"][0]["speakers"])
    assert len(heard) == 8 and not heard & {clip.name[:2] for clip in clips}
    encoder = str(shared_dir / "encoders" / "whisper-base-encoder")
    printed = mise_hf("predict", str(run[0] / "ser"), *map(str, clips), "--audio-encoder", encoder, "--json").stdout
    found = [json.loads(line)["probabilities"] for line in printed.splitlines()]
    assert all(abs(sum(probabilities.values()) - 1) < 1e-5 for probabilities in found)
    guesses = [max(probabilities, key=probabilities.get) for probabilities in found]
    right = sum(guess == EMOTIONS[clip.stem[5]] for guess, clip in zip(guesses, clips, strict=True))
    assert right >= 16, f"{right} of 20 right"


def test_predict_hears_any_rate_and_stereo_alike(run, clips_dir, shared_dir, tmp_path):
    import soundfile
    import torch
    from torchaudio.functional import resample

    clip = sorted(clips_dir.glob("*.flac"))[0]
    samples, rate = soundfile.read(clip, dtype="float32")
    high = resample(torch.from_numpy(samples), rate, 44100).numpy()
    soundfile.write(tmp_path / "stereo.wav", np.stack([samples, samples], axis=1), rate, subtype="FLOAT")
    soundfile.write(tmp_path / "high.wav", np.stack([high, high], axis=1), 44100, subtype="FLOAT")
    encoder = str(shared_dir / "encoders" / "whisper-base-encoder")
    files = [str(clip), str(tmp_path / "stereo.wav"), str(tmp_path / "high.wav")]
    printed = mise_hf("predict", str(run[0] / "ser"), *files, "--audio-encoder", encoder, "--json").stdout
    mono, stereo, resampled = (json.loads(line)["probabilities"] for line in printed.splitlines())
    assert stereo == pytest.approx(mono, abs=1e-5)
    # Up to 44.1 kHz and back takes the edge off the highest band, and this clip lies between two emotions.
    assert resampled == pytest.approx(mono, abs=0.1)


def test_predict_refuses_what_is_no_speech(run, clips_dir, shared_dir, tmp_path):
    import soundfile

    encoder = str(shared_dir / "encoders" / "whisper-base-encoder")
    (tmp_path / "text.wav").write_text("not audio")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    nan = np.full(16000, np.nan, dtype="float32")
    soundfile.write(tmp_path / "nan.wav", nan, 16000, subtype="FLOAT")
    names = ("text.wav", "empty.wav", "silent.wav", "nan.wav", "missing.wav")
    files = [str(tmp_path / name) for name in names]
    shown = mise_hf("predict", str(run[0] / "ser"), *files, "--audio-encoder", encoder, expect=1).stderr
    assert all(name in shown for name in names) and "Traceback" not in shown
    clip = str(sorted(clips_dir.glob("*.flac"))[0])
    assert "--audio-encoder" in mise_hf("predict", str(run[0] / "ser"), clip, expect=1).stderr


def test_a_run_is_not_overwritten_and_nothing_foreign_is_deleted(run, tmp_path):
    before = (run[0] / "results.json").read_bytes()
    assert "already holds a run" in mise_hf("demo", "--out", str(run[0]), expect=1).stderr
    assert (run[0] / "results.json").read_bytes() == before
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "no run of ours" in mise_hf("demo", "--out", str(tmp_path), "--overwrite", expect=1).stderr
    assert (tmp_path / "thesis.tex").exists()
    assert "is a file" in mise_hf("demo", "--out", str(tmp_path / "thesis.tex"), expect=1).stderr
