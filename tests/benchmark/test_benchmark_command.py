"""`mise-hf benchmark`: its YAML file, its quick mode that checks itself, its figure, and what is transductive."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from toy_corpus import make_table

from mise_hf.benchmark import plain, sanity
from mise_hf.benchmark.arguments import BenchmarkArguments, merge_arguments
from mise_hf.benchmark.sanity import check_planted, check_shuffled
from mise_hf.cli import main
from mise_hf.features import load_embedded


def found_by_command(table, monkeypatch):
    """The command finds this table, whatever features it is told, and does not dwell on MLPs."""
    monkeypatch.setattr("mise_hf.training.rows.load_table", lambda name, exclude: table)
    monkeypatch.setattr(plain, "MLP_STEPS", 5)


@pytest.fixture
def toy(monkeypatch):
    found_by_command(make_table(speakers=10, rows_each=30), monkeypatch)


@pytest.fixture
def one_layer(monkeypatch):
    """Real speech, so that an oracle has something to know: the embedded EmoDB's second layer."""
    table = load_embedded("emodb")
    table = replace(table, audio_states=table.audio_states[:, 1:2], audio_layers=table.audio_layers[1:2])
    found_by_command(table, monkeypatch)


def test_flags_override_the_file_and_the_file_the_defaults(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "features: emodb\nout: a\nfractions: [0.1, 1]\nonly-pretrained: true\npretrained: [org/g]\nseeds: 2\n"
    )
    found = merge_arguments(path, {"out": "b", "seeds": 3})
    assert found == BenchmarkArguments(
        features="emodb", out="b", fractions="0.1,1", seeds=3, only_pretrained=True, pretrained=["org/g"]
    )
    assert found.shares == (0.1, 1.0)
    path.write_text("features: emodb\nout: a\nfractions: 0.3\nminority_share: 1\n")
    assert merge_arguments(path, {}).shares == (0.3,)
    quick = merge_arguments(path, {"quick": True})
    assert quick.shares == (0.3,) and quick.seeds == 1
    assert merge_arguments(None, {"features": "f", "out": "o", "quick": True, "steps": 7}).steps == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 3", r"unknown keys \['seed'\]"),
        ("seeds: many", "seeds is 'many'; wanted int"),
        ("seeds: true", "seeds is True; wanted int"),
        ("seeds: 0", "seeds is 0; wanted 1 or more"),
        ("folds: random", "wanted one of speaker, session, official"),
        ("pretrained: org/g", "wanted a list of names"),
        ("minority_share: 2", "minority_share is 2"),
        ("quick: 'yes'", "quick is 'yes'; wanted bool"),
        ("fractions: [a]", "wanted numbers by comma"),
        ("- 3", "holds a list; wanted keys and values"),
        ("a: [", "cannot be read as YAML"),
        ("workers: 1.5", "workers is 1.5; wanted int"),
        ("only_pretrained: true", "without --pretrained"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, said):
    path = tmp_path / "study.yaml"
    path.write_text(text if text[0] in "-a" else f"features: emodb\nout: a\n{text}\n")
    with pytest.raises(ValueError, match=said):
        _ = merge_arguments(path, {}).shares


def test_features_and_out_must_come_from_somewhere(tmp_path, capsys):
    assert main(["benchmark"]) == 1
    assert "features and out missing" in capsys.readouterr().err
    assert main(["benchmark", "--config", str(tmp_path / "none.yaml"), "emodb", "--out", "x"]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_quick_checks_the_benchmark_itself_and_says_so(one_layer, tmp_path, capsys, monkeypatch):
    out = tmp_path / "quick"
    words = [
        "benchmark",
        "emodb",
        "--out",
        str(out),
        *["--quick", "--steps", "2", "--workers", "1", "--method", "SMOTE"],
    ]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed.count("- ok ") == 3 and "FAILED" not in printed
    assert "shuffled labels" in printed and "planted oracle" in printed and "planted useless" in printed
    results = json.loads((out / "results.json").read_text())
    assert [line.startswith("ok") for line in results["sanity"]] == [True] * 3
    # What was planted is no row of the table.
    assert not any("planted" in row["method"] for row in results["tables"]["0.3"])
    assert "SMOTE: " in (out / "results.md").read_text()
    assert results["transductive"] is False and "ransductive" not in printed
    ElementTree.parse(out / "figure.svg")
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    # A check that fails fails the command: here no gain is small enough.
    monkeypatch.setattr(sanity, "NONE", -1.0)
    assert main(words) == 1
    said = capsys.readouterr()
    assert "failed its own check: planted useless" in said.err and "FAILED" in said.out


def predictions(method, labels, predicted):
    rows = {"id": [f"u{i:03d}" for i in range(len(labels))], "label": labels, "prediction": predicted}
    speakers = [f"s{i % 8}" for i in range(len(labels))]
    return pd.DataFrame({**rows, "speaker": speakers, "method": method, "seed": 0, "fold": 0, "share": 1.0})


def test_a_leak_on_shuffled_labels_is_seen():
    labels = np.random.default_rng(0).integers(4, size=400)
    chance = predictions(plain.BEST, labels, np.random.default_rng(1).integers(4, size=400))
    assert check_shuffled(chance).held
    half = np.where(np.arange(400) % 2, labels, chance["prediction"])
    assert not check_shuffled(pd.concat([chance, predictions("leak", labels, half)])).held
    ratio = [{"choices": {"in corpus": {"methods": {sanity.USELESS: {"ratio": 0.0}}}}}]
    planted = [predictions(sanity.ORACLE, labels, labels), predictions(sanity.USELESS, labels, chance["prediction"])]
    assert all(check.held for check in check_planted(pd.concat([chance, *planted]), ratio))
    swapped = [predictions(sanity.USELESS, labels, labels), predictions(sanity.ORACLE, labels, chance["prediction"])]
    assert not any(check.held for check in check_planted(pd.concat([chance, *swapped]), ratio))


def test_standardised_speakers_are_called_transductive(toy, tmp_path, capsys):
    out = tmp_path / "study"
    words = [
        "--fractions",
        "0.3",
        "--seeds",
        "1",
        "--steps",
        "1",
        "--workers",
        "1",
        "--method",
        "SMOTE",
        "--standardise",
        "speaker",
    ]
    assert main(["benchmark", "toy", "--out", str(out), *words]) == 0
    text = (out / "results.md").read_text()
    assert text.startswith("# toy, speaker folds, audio, transductive") and "unlabelled test clips" in text
    assert "## 30% of the training clips (transductive)" in text
    results = json.loads((out / "results.json").read_text())
    assert results["transductive"] is True and "--standardise speaker" in results["command"]
    assert main(["benchmark", "toy", "--out", str(out), *words[:-2]]) == 1
    assert "['standardise'] differ" in capsys.readouterr().err
