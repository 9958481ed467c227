"""`mise-hf demo --corpus`: on real clips, with an encoder small enough for a test."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from transformers import AutoModel, AutoModelForAudioClassification

from mise_hf.cli import main
from mise_hf.commands.own_corpus import prepare_folder, spread_layers

EMOTIONS = {"W": "loud", "A": "loud", "F": "loud", "E": "quiet", "L": "quiet", "T": "quiet", "N": "quiet"}


@pytest.fixture
def write_manifest(tmp_path, clips_dir):
    """A function that lists the embedded clips under the speakers that it is told to give them."""

    def write(speaker_of, columns=("file", "emotion", "speaker")):
        path = tmp_path / "clips.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for place, clip in enumerate(sorted(clips_dir.glob("*.flac"))):
                writer.writerow([clip, EMOTIONS[clip.stem[5]], speaker_of(place, clip.stem)][: len(columns)])
        return path

    return write


def own(manifest, encoder, out, *more):
    return main(
        ["demo", "--corpus", str(manifest), "--audio-encoder", str(encoder), "--out", str(out), "--steps", "3", *more]
    )


def test_two_speakers_are_tested_on_each_other_and_told_to_be_too_few(write_manifest, small_whisper, tmp_path, capsys):
    out = tmp_path / "run"
    assert own(write_manifest(lambda _, name: name[:2]), small_whisper, out, "--licence", "cc0-1.0") == 0
    printed = capsys.readouterr().out
    assert "clips: 20 clips, 2 speakers" in printed and "p cannot fall below 0.500" in printed
    results = json.loads((out / "results.json").read_text())
    frame = pd.read_parquet(out / "predictions.parquet")
    for method, rows in frame.groupby("method"):
        assert sorted(rows["id"]) == sorted(set(rows["id"])) and len(rows) == 20
        recall = np.mean([(part["prediction"] == label).mean() for label, part in rows.groupby("label")])
        assert results["in_corpus"]["1.0"]["methods"][method]["uar"] == pytest.approx(recall)
        assert f"{100 * recall:.1f}" in printed
    assert {"shrinkage LDA", "class Gaussian", "MISE in the encoder space"} < set(frame["method"])
    # No fold tests a speaker that it learnt from.
    assert frame.groupby("fold")["speaker"].nunique().eq(1).all()
    generator = AutoModel.from_pretrained(out / "generator")
    assert generator.config.training_corpora[0]["licence"] == "cc0-1.0"
    assert AutoModelForAudioClassification.from_pretrained(out / "ser").config.id2label == {0: "loud", 1: "quiet"}
    assert "MISE in the encoder space" in (out / "report.html").read_text()
    # It leaves what `publish` wants to see.
    words = ["publish", str(out), "--repo", "org/mine", "--redistribution", "yes", "--allow-memorised", "--dry-run"]
    assert main([*words, "--json"]) == 0
    sent = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [entry["repo"] for entry in sent] == ["org/mine-generator", "org/mine-ser"]


def test_with_speakers_enough_the_classifier_is_chosen_inside(
    write_manifest, small_whisper, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("mise_hf.benchmark.plain.MLP_STEPS", 5)
    # Four made-up speakers, so that some can be left out inside: what is tested is the path, not the figure.
    manifest = write_manifest(lambda place, _: f"s{place % 4}", columns=("file", "emotion", "who"))
    out = tmp_path / "run"
    assert own(manifest, small_whisper, out, "--column", "speaker=who", "--json") == 0
    results = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert {"shrinkage LDA", "logistic regression", "MLP"} < set(results["in_corpus"]["1.0"]["methods"])
    assert not any("too few to choose" in verdict for verdict in results["verdicts"])
    assert own(manifest, small_whisper, out) == 1
    assert "already holds a run" in capsys.readouterr().err


def test_what_cannot_be_tested_is_refused(write_manifest, small_whisper, tmp_path, capsys):
    nobody = write_manifest(lambda _, name: "", columns=("file", "emotion"))
    assert own(nobody, small_whisper, tmp_path / "a") == 1
    assert "names no speaker in 20 of 20 rows" in capsys.readouterr().err
    alone = write_manifest(lambda place, name: EMOTIONS[name[5]])
    assert own(alone, small_whisper, tmp_path / "b") == 1
    assert "would have no training clip" in capsys.readouterr().err
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="no run of ours"):
        prepare_folder(tmp_path / "c", overwrite=True)


def test_layers_are_spread_and_the_last_is_among_them():
    assert spread_layers(2) == [1, 2] and spread_layers(6) == [1, 2, 3, 4, 5, 6]
    assert spread_layers(24)[-1] == 24 and len(spread_layers(24)) == 6
