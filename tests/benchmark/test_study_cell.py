"""One cell with every method: choices made inside, and nothing lost where nothing helps."""

from dataclasses import replace

import numpy as np
import pytest
from toy_corpus import make_table

from mise_hf.benchmark import plain as plain_module
from mise_hf.benchmark.plain import BEST
from mise_hf.benchmark.ratio import best_above
from mise_hf.benchmark.sanity import Oracle, Useless
from mise_hf.benchmark.standardise import standardise
from mise_hf.benchmark.statistics import unweighted_average_recall
from mise_hf.benchmark.study_cell import ALIGNED_PLAIN, method_names, run_study_cell
from mise_hf.benchmark.tables import chosen_ratios


@pytest.fixture(autouse=True)
def quick_heads(monkeypatch):
    monkeypatch.setattr(plain_module, "MLP_STEPS", 3)


def noisy(noise=3.0, **options):
    table = make_table(**options)
    rng = np.random.default_rng(7)
    states = table.audio_states + noise * rng.normal(size=table.audio_states.shape)
    return replace(table, audio_states=states.astype("float32"))


def halves(table, speakers):
    held = np.isin(table.speakers, speakers)
    return table.select(~held), table.select(held)


def test_every_method_is_run_and_says_what_it_chose():
    train, test = halves(noisy(speakers=4), ["s3"])
    cell = run_study_cell(train, test, licence="none", seed=0, steps=3)
    assert {BEST, ALIGNED_PLAIN, *method_names(train)} < set(cell.predictions)
    assert all(found.shape == (12,) for found in cell.predictions.values())
    chosen = cell.choices["methods"]
    assert set(method_names(train)) < set(chosen)
    for name, choice in chosen.items():
        if "ratio" in choice:
            assert choice["ratio"] in (0, 0.5, 1, 2) and "best plain" in choice["inner_uar"], name
    assert np.isfinite(cell.measures["MISE"]["carried_information"])
    assert np.isfinite(cell.measures["flow matching"]["label_information"])
    assert any(line.startswith("- SMOTE: ") for line in chosen_ratios([{"choices": {"in corpus": cell.choices}}]))


def test_an_oracle_takes_a_high_ratio_and_a_useless_generator_none():
    table = noisy(noise=4.0, speakers=8, rows_each=18)
    train, test = halves(table, ["s6", "s7"])
    planted = {"oracle": Oracle(table), "useless": Useless()}
    cell = run_study_cell(
        train, test, licence="none", seed=0, steps=1, methods=["SMOTE"], planted=planted, measure=False
    )
    assert set(cell.choices["methods"]) == {"SMOTE", "oracle", "useless"} and not cell.measures
    assert cell.choices["methods"]["oracle"]["ratio"] >= 1
    assert cell.choices["methods"]["useless"]["ratio"] == 0
    assert np.array_equal(cell.predictions["useless"], cell.predictions[BEST])
    uar = {name: unweighted_average_recall(test.labels, found) for name, found in cell.predictions.items()}
    assert uar["oracle"] > uar[BEST]


def test_a_ratio_must_gain_more_than_its_standard_error():
    labels = np.tile([0, 1], 40)
    speakers = np.repeat([f"s{i}" for i in range(8)], 10)
    rng = np.random.default_rng(0)
    half = np.where(rng.uniform(size=80) < 0.5, labels, 1 - labels)
    one = half.copy()
    one[:10] = labels[:10]  # better for one speaker alone
    by_chance, lucky, right = (np.log(np.where(np.eye(2)[answers] > 0, 0.8, 0.2)) for answers in (half, one, labels))
    assert best_above({1.0: by_chance}, by_chance, labels, speakers) is None
    assert best_above({1.0: lucky}, by_chance, labels, speakers) is None
    assert best_above({1.0: lucky, 2.0: right}, by_chance, labels, speakers) == 2.0
    assert best_above({1.0: right}, by_chance, labels, np.full(80, "only one")) is None


def test_choices_are_made_on_development_rows_where_there_are_some():
    table = noisy(speakers=5)
    train, rest = halves(table, ["s3", "s4"])
    development, test = halves(rest, ["s4"])
    options = {"licence": "none", "seed": 0, "steps": 1, "methods": ["SMOTE", "class weights"], "measure": False}
    cell = run_study_cell(train, test, development=development, **options)
    assert cell.choices["inner_folds"] == "development rows"
    wrong = replace(development, labels=(development.labels + 1) % 3)
    other = run_study_cell(train, test, development=wrong, **options)
    assert other.choices["inner_uar"] != cell.choices["inner_uar"]
    # Development rows are never trained on: with the same choices, the same predictions.
    same = "shrinkage LDA"
    if cell.choices["layers"] == other.choices["layers"] and cell.choices["setting"] == other.choices["setting"]:
        assert np.array_equal(cell.predictions[same], other.predictions[same])
    with pytest.raises(ValueError, match="in training and test"):
        run_study_cell(train, test, development=train, **options)
    with pytest.raises(ValueError, match=r"methods \['SMOET'\] are unknown"):
        run_study_cell(train, test, **{**options, "methods": ["SMOET"]})


def test_a_planted_leak_is_refused():
    table = make_table(speakers=4)
    test = table.select(np.arange(36, 48))
    with pytest.raises(ValueError, match=r"speakers \['s3'\] are in training and test"):
        run_study_cell(table.select(np.arange(37)), test, licence="none", seed=0, steps=1)
    train = table.select(np.r_[np.arange(36), 40])
    speakers, ids = train.speakers.copy(), train.ids.copy()
    speakers[-1], ids[-1] = "s0", "innocent"
    with pytest.raises(ValueError, match=r"utterance-40.*innocent"):
        run_study_cell(replace(train, speakers=speakers, ids=ids), test, licence="none", seed=0, steps=1)


def test_standardised_states_have_no_speaker_left():
    table = make_table(speakers=4, rows_each=30)
    found = standardise(table, "speaker")
    for name in set(table.speakers):
        rows = found.audio_states[table.speakers == name]
        assert np.allclose(rows.mean(0), 0, atol=1e-5) and np.allclose(rows.std(0), 1, atol=1e-4)
    assert standardise(table, "none") is table
    with pytest.raises(ValueError, match="one clip each"):
        standardise(table.select([0, 40, 41]), "speaker")
    with pytest.raises(ValueError, match="wanted one of none, speaker"):
        standardise(table, "session")
