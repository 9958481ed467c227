"""The paper's three protocols, by the commands that head their YAML files, on generated trees and tiny encoders."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
import trees
import yaml
from toy_encoders import save_bert, save_whisper
from trees import iemocap, msp_improv, msp_podcast, write_wav

from mise_hf.benchmark import plain
from mise_hf.cli import main

PAPER = Path(__file__).parents[2] / "examples" / "paper"
# Enough to run every step of the command once.
SHORT = ["--fractions", "1", "--seeds", "1", "--steps", "1", "--workers", "1", "--method", "SMOTE", "--method", "MISE"]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    return {
        "openai/whisper-base": str(save_whisper(folder / "whisper", layers=4)),
        "sentence-transformers/all-MiniLM-L6-v2": str(save_bert(folder / "bert", "abcde", seed=0)),
    }


def run_protocol(name: str, release: Path, encoders: dict[str, str], words: list[str]) -> dict:
    """Run the file's three commands in the current folder; returns results.json."""
    path = PAPER / f"{name}.yaml"
    heads = [line[2:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# mise-hf ")]
    assert [shlex.split(line)[1] for line in heads] == ["prepare", "extract", "benchmark"]
    for line in heads:
        command = [encoders.get(word, word) for word in shlex.split(line)[1:]]
        if command[0] == "prepare":
            command[2] = str(release)
        if command[0] == "extract":
            command.append("--quiet")
        if command[0] == "benchmark":
            command = ["benchmark", "--config", str(path), *words]
        assert main(command) == 0, line
    return json.loads((Path(yaml.safe_load(path.read_text())["out"]) / "results.json").read_text())


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plain, "MLP_STEPS", 2)
    # Long enough for an encoder to hear.
    monkeypatch.setattr(trees, "write_wav", lambda path: write_wav(path, samples=3200))
    return tmp_path


def rows_of(name: str) -> pd.DataFrame:
    frame = pd.read_parquet(f"runs/{name}/benchmark/predictions.parquet")
    return frame[frame["method"] == plain.BEST]


def test_msp_podcast_is_trained_on_train_chosen_on_development_and_tested_on_test1(in_folder, encoders, capsys):
    release = in_folder / "MSP-PODCAST-Publish-1.11"
    msp_podcast(release, {"Train": 120, "Development": 60, "Test1": 60, "Test2": 20})
    results = run_protocol("msp_podcast", release, encoders, SHORT)
    rows = rows_of("msp_podcast")
    assert len(rows) == 48 and set(rows["fold"]) == {0}
    assert {name[:2] for name in rows["speaker"]} == {"t1", "un"}
    assert results["cells"][0]["choices"]["in corpus"]["inner_folds"] == "development rows"
    assert results["notes"] == ["choices are made on Development, which is never trained on"]
    assert "choices are made on Development" in capsys.readouterr().err
    assert {row["method"] for row in results["tables"]["1"]} > {"SMOTE", "MISE", plain.BEST}


def test_iemocap_leaves_one_session_out(in_folder, encoders):
    release = in_folder / "IEMOCAP_full_release"
    iemocap(release, {"neu": 30, "hap": 15, "exc": 15, "ang": 30, "sad": 30, "fru": 5, "xxx": 5})
    run_protocol("iemocap", release, encoders, [*SHORT[:-2]])
    rows = rows_of("iemocap")
    assert len(rows) == 120
    assert rows.groupby("fold")["speaker"].agg(lambda names: {name[:5] for name in names}).map(len).tolist() == [1] * 5


@pytest.mark.slow
def test_msp_improv_leaves_one_session_out(in_folder, encoders):
    release = in_folder / "MSP-IMPROV"
    msp_improv(release, {"A": 48, "H": 48, "S": 48, "N": 48, "O": 5, "X": 5})
    run_protocol("msp_improv", release, encoders, [*SHORT[:-2]])
    rows = rows_of("msp_improv")
    assert len(rows) == 192
    assert rows.groupby("fold")["speaker"].agg(lambda names: {name[1:] for name in names}).map(len).tolist() == [1] * 6


@pytest.mark.slow
def test_the_multimodal_row_runs(in_folder, encoders):
    release = in_folder / "MSP-PODCAST-Publish-1.11"
    msp_podcast(release, {"Train": 120, "Development": 60, "Test1": 60})
    words = [*SHORT[:-2], "--modality", "both", "--standardise", "speaker"]
    results = run_protocol("msp_podcast", release, encoders, words)
    assert results["transductive"] is True
