"""A head on synthetic rows beside the best plain classifier: who weighs how much, and that the rows belong together."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from toy_corpus import make_table

from mise_hf.benchmark.adapted import PlainScores, choose_weight, plain_scores, run_adapted
from mise_hf.benchmark.foreign import run_foreign_cell
from mise_hf.benchmark.plain import chosen, log_probabilities, tune, tune_plain
from mise_hf.benchmark.re_estimated import OWN_GAUSSIAN, own_generator


def sides(table, tested=("s0", "s1")):
    test = np.isin(table.speakers, tested)
    return table.select(~test), table.select(test)


def noisy(**options):
    table = make_table(**options)
    noise = np.random.default_rng(5).normal(size=table.audio_states.shape).astype("float32")
    return replace(table, audio_states=table.audio_states + 2 * noise)


def source_and_cell():
    train, test = sides(noisy(speakers=8))
    there = noisy(speakers=6, seed=3)
    elsewhere = replace(
        there, corpus="elsewhere", speakers=np.char.add("x", there.speakers), ids=np.char.add("x", there.ids)
    )
    return own_generator(OWN_GAUSSIAN, elsewhere, licence="none", seed=0, steps=0), train, test


def sure(answers, right=0.8):
    return np.log(np.where(np.eye(3)[answers] > 0, right, (1 - right) / 2))


def test_the_better_of_two_heads_weighs_most():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    luck = rng.permutation(labels)
    offered = (0.0, 0.25, 0.5, 0.75, 1.0)
    assert choose_weight(sure(labels), sure(luck), labels, offered) == 1
    assert choose_weight(sure(luck), sure(labels), labels, offered) == 0
    assert choose_weight(sure(labels), sure(luck), labels, (0.0, 0.25, 0.5)) == 0.5


def test_rows_of_plain_and_generator_belong_together():
    generator, train, test = source_and_cell()
    plain = tune_plain(train, 0)
    scores = plain.scores(test, 0)[plain.best.family]
    beside = plain_scores(plain, scores, train)
    found = run_adapted(generator, train, test, beside, seed=0)
    order = np.random.default_rng(1).permutation(len(beside.held))
    shuffled = PlainScores(beside.test, beside.inner[order], beside.labels[order], beside.held[order])
    again = run_adapted(generator, train, test, shuffled, seed=0)
    assert again.weight == found.weight and np.array_equal(again.beside, found.beside)
    # A plain classifier that was never wrong inside leaves the generator nothing to say, if its rows are these rows.
    perfect = replace(beside, inner=sure(beside.labels, 0.999))
    assert run_adapted(generator, train, test, perfect, seed=0).weight == 0
    with pytest.raises(ValueError, match="chosen on rows of inner folds and development is True"):
        run_adapted(generator, train, test, beside, seed=0, development=test)


def test_a_generator_of_the_same_rows_weighs_half_at_most():
    train, test = sides(noisy(speakers=8))
    plain = tune_plain(train, 0)
    beside = plain_scores(plain, plain.scores(test, 0)[plain.best.family], train)
    hopeless = replace(beside, inner=sure((beside.labels + 1) % 3, 0.999))
    own = own_generator(OWN_GAUSSIAN, train, licence="none", seed=0, steps=0)
    assert run_adapted(own, train, test, hopeless, seed=0).weight == 0.5
    generator, *_ = source_and_cell()
    assert run_adapted(generator, train, test, hopeless, seed=0).weight > 0.5


def test_development_must_be_unseen_too():
    generator, train, test = source_and_cell()
    with pytest.raises(ValueError, match="are in training and test"):
        run_foreign_cell(train, test, {"a": generator}, [], seed=0, development=test)
    heard = own_generator(OWN_GAUSSIAN, train, licence="none", seed=0, steps=0)
    rest, development = sides(train, ("s2",))
    with pytest.raises(ValueError, match=r"trained on the speakers \['s2'\]"):
        run_foreign_cell(rest, test, {"a": heard}, [], seed=0, development=development)


def test_two_emotions_have_two_columns():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    rows = rng.normal(size=(60, 3)) + labels[:, None]
    linear = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5).fit(rows, labels)
    assert np.allclose(log_probabilities(linear, rows), linear.predict_log_proba(rows))


def test_tuning_takes_the_setting_with_the_least_loss():
    table = noisy(speakers=6)
    best = tune(table, (1,), "lda", 0)
    losses = [tune(table, (1,), "lda", 0, settings=(one,)).inner_loss for one in (0.1, 0.2, 0.35, 0.5, 0.65, 0.8)]
    assert best.inner_loss == min(losses) < max(losses)
    labels = np.arange(90) % 3
    good, bad = (chosen("lda", 0.5, sure(answers), labels) for answers in (labels, (labels + 1) % 3))
    assert good.inner_loss < bad.inner_loss and (good.inner_uar, bad.inner_uar) == (1, 0)
    with pytest.raises(ValueError, match="no training row of"):
        tune(table.select(table.labels != 1), (1,), "lda", 0)
