"""What clips without a label add: the cell on a toy corpus."""

from dataclasses import replace

import numpy as np
import pytest
from toy_corpus import make_table

from mise_hf.benchmark.folds import draw_share, speaker_folds
from mise_hf.benchmark.plain import BEST, FAMILY_NAMES, MEAN
from mise_hf.benchmark.re_estimated import OWN, OWN_GAUSSIAN
from mise_hf.benchmark.study import Plan, run_study
from mise_hf.benchmark.tables import study_table
from mise_hf.benchmark.unlabelled import SELF_TRAINED, WITH_UNLABELLED, run_unlabelled_cell


def noisy_table():
    table = make_table(speakers=3, rows_each=40, text=False)
    noise = 2.0 * np.random.default_rng(1).normal(size=table.audio_states.shape)
    return replace(table, audio_states=(table.audio_states + noise).astype("float32"))


def test_the_study_tests_each_method_with_and_without_the_clips(tmp_path):
    table = noisy_table()
    plan = Plan(shares=(0.15,), seeds=(0,), steps=5, unlabelled=True)
    frame, records = run_study(table, plan, tmp_path / "out")
    found = study_table(frame, BEST).set_index("method")
    estimated = {name + suffix for name in (OWN, OWN_GAUSSIAN) for suffix in ("", WITH_UNLABELLED)}
    assert set(found.index) == {BEST, MEAN, *FAMILY_NAMES.values(), SELF_TRAINED, *estimated}
    assert found.loc[OWN + WITH_UNLABELLED, "uar"] > 1 / 3 + 0.1
    assert all(len(record["choices"][OWN + WITH_UNLABELLED]) == 4 for record in records)
    assert all(record["choices"][OWN][-1] == 0 for record in records)


def test_labels_of_the_unlabelled_are_not_looked_at_and_test_clips_are_refused_among_them():
    table = noisy_table()
    fit, held = next(speaker_folds(table.speakers, 3))
    drawn = draw_share(table.labels, fit, 0.2, 0)
    train, test, rest = (table.select(rows) for rows in (drawn, held, np.setdiff1d(fit, drawn)))
    given = {"licence": "cc0-1.0", "seed": 0, "steps": 5}
    first = run_unlabelled_cell(train, rest, test, {}, **given).predictions
    blind = run_unlabelled_cell(train, replace(rest, labels=np.zeros_like(rest.labels)), test, {}, **given).predictions
    assert all(np.array_equal(first[name], blind[name]) for name in first)
    with pytest.raises(ValueError, match="are in training and test"):
        run_unlabelled_cell(train, table.select([*range(5), held[0]]), test, {}, **given)


def test_a_study_without_clips_to_spare_is_refused(tmp_path):
    with pytest.raises(ValueError, match="shares below 1"):
        run_study(noisy_table(), Plan(shares=(1.0,), seeds=(0,), unlabelled=True), tmp_path / "out")
