from dataclasses import replace

import numpy as np
import pytest

from mise_hf.benchmark.folds import draw_share, require_unseen, require_unseen_speakers, speaker_folds
from mise_hf.benchmark.in_corpus import run_cell


def test_no_speaker_is_on_both_sides_and_every_row_is_tested_once(toy_table):
    tested = []
    for train, test in speaker_folds(toy_table.speakers, 4):
        assert not set(toy_table.speakers[train]) & set(toy_table.speakers[test])
        tested.append(test)
    assert np.array_equal(np.sort(np.concatenate(tested)), np.arange(len(toy_table)))


def test_a_share_is_drawn_in_each_class(toy_table):
    rows = np.arange(len(toy_table))
    drawn = draw_share(toy_table.labels, rows, 0.25, seed=0)
    assert np.array_equal(np.bincount(toy_table.labels[drawn]), [4, 4, 4])
    assert np.array_equal(drawn, draw_share(toy_table.labels, rows, 0.25, seed=0))
    assert not np.array_equal(drawn, draw_share(toy_table.labels, rows, 0.25, seed=1))
    assert np.bincount(toy_table.labels[draw_share(toy_table.labels, rows, 0.01, seed=0)]).min() == 2
    with pytest.raises(ValueError, match="share is 0"):
        draw_share(toy_table.labels, rows, 0, seed=0)


def test_a_planted_test_speaker_is_refused_by_the_benchmark(toy_table):
    train, test = toy_table.select(np.arange(36)), toy_table.select(np.arange(36, 48))
    planted = toy_table.select(np.arange(37))
    with pytest.raises(ValueError, match=r"speakers \['s3'\] are in training and test"):
        run_cell(planted, test, licence="none", seed=0, steps=1)
    require_unseen(train, test)


def test_a_planted_clip_under_a_false_name_is_refused(toy_table):
    """A test clip copied into training with another speaker and id: only its numbers give it away."""
    train, test = toy_table.select(np.r_[np.arange(36), 40]), toy_table.select(np.arange(36, 48))
    speakers, ids = train.speakers.copy(), train.ids.copy()
    speakers[-1], ids[-1] = "s0", "innocent"
    disguised = replace(train, speakers=speakers, ids=ids)
    with pytest.raises(ValueError, match=r"utterance-40.*innocent"):
        run_cell(disguised, test, licence="none", seed=0, steps=1)


def test_a_checkpoint_that_has_heard_the_speakers_is_refused(toy_table):
    corpora = [{"name": "toy", "speakers": ["s1", "s9"]}]
    with pytest.raises(ValueError, match=r"\['s1'\] of toy"):
        require_unseen_speakers(corpora, toy_table)
    require_unseen_speakers([{"name": "other", "speakers": ["s1"]}], toy_table)
    with pytest.raises(ValueError, match="does not state its training corpora"):
        require_unseen_speakers(None, toy_table)


def test_too_many_folds_are_refused(toy_table):
    with pytest.raises(ValueError, match="wanted 2 to 4 folds"):
        list(speaker_folds(toy_table.speakers, 5))
