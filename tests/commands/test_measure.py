"""`mise-hf measure`: from a training to a card, on speakers that the training left out."""

import json

import pytest

from mise_hf.cli import main
from mise_hf.training import generator as training

SMALL = ["--features", "emodb", "--steps", "3", "--feature_size", "16", "--hidden_size", "16"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training with text and pairs that left out two speakers of the embedded features."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    more = ["--exclude_speakers", "11", "13", "--licence", "cc0-1.0", "--output_dir", str(folder)]
    training.main([*SMALL, "--text", "true", "--paired", "true", *more])
    return folder


def test_a_measured_run_is_reported_and_published(run, tmp_path, capsys):
    publish = ["publish", str(run), "--repo", "org/mine", "--redistribution", "yes", "--dry-run"]
    assert main(publish) == 1 and "mise-hf measure" in capsys.readouterr().err
    assert main(["measure", str(run)]) == 0
    assert "speakers 11, 13 unheard" in capsys.readouterr().out
    found = json.loads((run / "results.json").read_text())
    assert found["unheard_speakers"] == ["11", "13"] and not {"11", "13"} & set(found["corpora"][0]["speakers"])
    made = found["quality"]
    # Three steps are hardly a training: the generator still carries what its start does, and so does its recipe.
    assert made["carried_information"] == pytest.approx(made["carried_information_before_training"], abs=0.3)
    assert 0.5 < found["carried_information"]["synthetic"] < made["label_information"]["entropy"] + 0.1
    assert found["mutual_information"]["real"]["value"] > found["mutual_information"]["real"]["null_95"]
    assert found["memorisation"]["share"] <= found["memorisation"]["null_95"]
    assert not {"output_dir", "features"} & set(found["training"])
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "memoris" in page and "11, 13" in page
    assert main([*publish, "--out", str(tmp_path / "staged")]) == 0
    card = (tmp_path / "staged" / "README.md").read_text()
    assert "No copying was found" in card and f"{found['carried_information']['synthetic']:.2f}" in card


def test_what_cannot_be_measured_is_refused_with_the_way_out(run, tmp_path, capsys):
    assert main(["measure", str(tmp_path)]) == 1
    assert "holds no finished training" in capsys.readouterr().err
    training.main([*SMALL, "--output_dir", str(tmp_path / "all")])
    assert main(["measure", str(tmp_path / "all")]) == 1
    assert "none is left to measure on; train with --exclude_speakers" in capsys.readouterr().err
    config = tmp_path / "all" / "training_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"exclude_speakers": ["11"]}))
    assert main(["measure", str(tmp_path / "all")]) == 1
    assert "is not what" in capsys.readouterr().err
