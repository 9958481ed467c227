"""The protocol on a toy corpus: it must see a gain, no gain, and a leak."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from toy_corpus import make_table

from mise_hf.benchmark import plain as plain_module
from mise_hf.benchmark.adapted import WITH_PLAIN
from mise_hf.benchmark.folds import cut_classes, require_unseen
from mise_hf.benchmark.foreign import run_foreign_cell
from mise_hf.benchmark.modality import as_modality
from mise_hf.benchmark.plain import BEST, MEAN
from mise_hf.benchmark.statistics import holm
from mise_hf.benchmark.study import Plan, run_study, study_folds
from mise_hf.benchmark.tables import as_markdown, contrast, recall_of, study_table
from mise_hf.cli import main
from mise_hf.commands.benchmark import as_results
from mise_hf.features.provenance import training_corpora
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.generator import make_generator
from mise_hf.training.rows import rows_in_encoder_space


def hard_table(seed=0, speakers=6, noise=5.0, corpus="toy"):
    """A toy corpus too noisy for a handful of clips to learn from."""
    table = make_table(speakers=speakers, rows_each=60, seed=seed, text=False)
    rng = np.random.default_rng(seed + 100)
    states = table.audio_states + noise * rng.normal(size=table.audio_states.shape)
    names = np.array([f"{corpus}-{name}" for name in table.speakers])
    return replace(table, audio_states=states.astype("float32"), speakers=names, corpus=corpus)


def generator_of(table, shuffled=False):
    rows = rows_in_encoder_space(table, [1, 2], 20)
    labels = rows.labels
    if shuffled:
        labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    made = make_generator(
        rows,
        GeneratorArguments(feature_size=20, speaker_noise_size=4, hidden_size=8),
        label_names=table.label_names,
        fingerprint=table.fingerprint,
        corpora=training_corpora(table, "cc0-1.0"),
    )
    return made.start_from(rows.features, labels, rows.speakers).eval()


@pytest.fixture(scope="module")
def transfer_study(tmp_path_factory):
    """Few clips of a noisy corpus, an oracle generator of its twin, and a useless one of shuffled labels."""
    twin = hard_table(seed=5, speakers=20, corpus="twin")
    generators = {"oracle": generator_of(twin), "useless": generator_of(twin, shuffled=True)}
    out = tmp_path_factory.mktemp("study") / "out"
    plan = Plan(shares=(0.1,), seeds=(0,), in_corpus=False)
    return (*run_study(hard_table(), plan, out, generators=generators, workers=2), plan, out, generators)


def test_a_planted_oracle_gains_and_a_useless_generator_does_not(transfer_study):
    frame, _, *_ = transfer_study
    table = study_table(frame, BEST).set_index("method")
    assert table.loc["oracle", "difference"] > 0.05 and table.loc["oracle", "p"] < 0.05
    assert table.loc["useless", "difference"] < 0.03
    assert contrast(frame, ["oracle"], ["useless"])["difference"] > 0.03


def test_measures_tell_the_oracle_from_the_useless_one(transfer_study):
    _, records, *_ = transfer_study
    carried = {
        name: np.mean([record["measures"][name]["carried_information"] for record in records])
        for name in ("oracle", "useless")
    }
    assert carried["oracle"] > carried["useless"]


def test_every_clip_is_tested_once_a_seed_by_speakers_unheard(transfer_study):
    frame, *_ = transfer_study
    table = hard_table()
    for _, rows in frame.groupby(["method", "seed"]):
        assert sorted(rows["id"]) == sorted(table.ids)
    assert frame.groupby("speaker")["fold"].nunique().max() == 1


def test_a_finished_study_is_read_and_another_is_refused(transfer_study):
    frame, _, plan, out, generators = transfer_study
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    again, _ = run_study(hard_table(), plan, out, generators=generators)
    pd.testing.assert_frame_equal(again, frame)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == written
    with pytest.raises(ValueError, match=r"another study.*steps"):
        run_study(hard_table(), replace(plan, steps=3), out, generators=generators)
    # A transfer study of before in-corpus methods could be chosen goes on; it has none.
    said = json.loads((out / "settings.json").read_text())
    old = {key: value for key, value in said.items() if key not in ("methods", "standardise", "measure")}
    (out / "settings.json").write_text(json.dumps(old))
    run_study(hard_table(), plan, out, generators=generators)
    (out / "settings.json").write_text(json.dumps(said))


@pytest.mark.slow
def test_a_lost_cell_is_run_again_to_the_same_numbers(transfer_study):
    frame, _, plan, out, generators = transfer_study
    (out / "cells" / "share-0.1_fold-1_seed-0.json").unlink()
    again, _ = run_study(hard_table(), plan, out, generators=generators)
    pd.testing.assert_frame_equal(again, frame)


def test_a_generator_that_heard_the_test_speakers_is_refused():
    table = hard_table()
    leak = generator_of(table)
    fit, held = study_folds(table, Plan((0.1,), (0,)))[0]
    with pytest.raises(ValueError, match="trained on the speakers"):
        run_foreign_cell(table.select(fit), table.select(held), {"leak": leak}, [], seed=0)


def test_shuffled_labels_give_chance(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_module, "MLP_STEPS", 10)
    table = hard_table(noise=0.5, speakers=3)
    shuffled = replace(table, labels=np.random.default_rng(0).permutation(table.labels))
    methods = ("SMOTE", "class Gaussian", "MISE in the encoder space", "MISE")
    plan = Plan(shares=(0.3,), seeds=(0,), in_corpus=True, steps=5, methods=methods, measure=False)
    frame, _ = run_study(shuffled, plan, tmp_path / "out", workers=1)
    found = study_table(frame, BEST).set_index("method")
    assert set(methods) < set(found.index) and (found["uar"] - 1 / 3).abs().max() < 0.15
    assert (found["p_holm"].dropna() > 0.05).all()


def test_a_minority_is_cut_and_the_others_are_not(transfer_study):
    labels, rows = np.arange(90) % 3, np.arange(10, 90)
    kept = cut_classes(labels, rows, [1], 0.2, seed=0)
    assert np.bincount(labels[kept]).tolist() == [26, 5, 27] and set(kept) < set(rows)
    frame, *_ = transfer_study
    assert 0.2 < recall_of(frame, "oracle", 1) <= 1


def test_sessions_are_left_out_one_by_one_and_must_not_share_speakers():
    table = make_table(speakers=4)
    sessions = np.array([f"session {int(name[1:]) // 2}" for name in table.speakers])
    folds = study_folds(replace(table, sessions=sessions), Plan((1.0,), (0,), folds="session"))
    assert [sorted(set(table.speakers[held])) for _, held in folds] == [["s0", "s1"], ["s2", "s3"]]
    crossed = np.where(np.arange(len(sessions)) % 2, "a", "b")
    with pytest.raises(ValueError, match="is in the sessions"):
        study_folds(replace(table, sessions=crossed), Plan((1.0,), (0,), folds="session"))
    with pytest.raises(ValueError, match="wanted two or more"):
        study_folds(table, Plan((1.0,), (0,), folds="session"))


def test_modalities():
    table = make_table()
    both = as_modality(table, "both")
    assert both.layer(1).shape == (len(table), 10 + 8) and both.text_states is None
    assert np.array_equal(as_modality(table, "text").layer(1), table.text_states[:, 0])
    with pytest.raises(ValueError, match="text-encoder"):
        as_modality(make_table(text=False), "both")
    with pytest.raises(ValueError, match="wanted --modality text"):
        as_modality(replace(table, audio_states=None, audio_layers=()), "audio")
    # Two people who say the same sentence are no copies of each other.
    read = as_modality(table, "text")
    require_unseen(read.select(read.speakers != "s0"), read.select(read.speakers == "s0"))


def test_holm():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_results_are_json_and_markdown(transfer_study):
    frame, records, *_ = transfer_study
    table = study_table(frame, BEST)
    results = json.loads(json.dumps(as_results({"0.1": table}, records), allow_nan=False))
    mixed = [name + WITH_PLAIN for name in ("oracle", "useless")]
    assert [row["method"] for row in results["tables"]["0.1"]] == [BEST, MEAN, "oracle", mixed[0], "useless", mixed[1]]
    assert results["tables"]["0.1"][0]["p"] is None and results["cells"][0]["choices"]["oracle"]
    lines = as_markdown(table).splitlines()
    assert len(lines) == 8 and lines[4].startswith("| oracle | ") and lines[2].count("|") == lines[3].count("|")


def test_command_refuses_what_it_cannot_run(tmp_path, capsys):
    out = tmp_path / "study"
    words = ["benchmark", "emodb", "--out", str(out), "--fractions", "0.1", "--seeds", "1", "--only-pretrained"]
    with pytest.raises(ValueError, match="trained on the speakers"):
        main([*words, "--pretrained", "emodb_generator", "--debug"])
    table = hard_table(corpus="twin")
    generator_of(table).save_pretrained(tmp_path / "generator")
    assert main([*words, "--pretrained", str(tmp_path / "generator")]) == 1
    assert "features made in two ways" in capsys.readouterr().err and not out.exists()
    assert main(["benchmark", "emodb", "--out", str(out), "--fractions", "2"]) == 1
    assert "up to 1" in capsys.readouterr().err


@pytest.mark.slow
def test_command_runs_a_study(tmp_path, capsys):
    out = tmp_path / "study"
    words = ["benchmark", "emodb", "--out", str(out), "--fractions", "0.1", "--seeds", "1", "--steps", "2"]
    assert main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    rows = {row["method"]: row for row in printed["0.1"]}
    assert {BEST, "SMOTE", "MISE", "label-only GAN"} < set(rows) and rows[BEST]["uar"] > 0.5
    assert json.loads((out / "results.json").read_text())["tables"] == printed
    assert "| method |" in (out / "results.md").read_text()
