"""The corpus's own split: folds, partitions, shared and unknown speakers."""

from dataclasses import replace

import numpy as np
import pytest
from toy_corpus import make_table

from mise_hf.benchmark.official import apart_unknown, official_splits
from mise_hf.benchmark.study import Plan, study_folds
from mise_hf.features.embedded import load_embedded, read_compact, write_compact

OFFICIAL = Plan((1.0,), (0,), folds="official")


def partitioned(*names):
    """The toy corpus with one speaker to a partition."""
    table = make_table(speakers=len(names))
    return replace(table, partitions=np.repeat(np.array(names), len(table) // len(names)))


def with_layers(table):
    return replace(table, fingerprint={**table.fingerprint, "text_layers": [1]})


def test_official_folds_are_left_out_one_by_one():
    table = make_table(speakers=4)
    table = replace(table, folds=np.array([f"Session{1 + int(name[1:]) // 2}" for name in table.speakers]))
    found = study_folds(table, OFFICIAL)
    assert [sorted(set(table.speakers[held])) for _, held in found] == [["s0", "s1"], ["s2", "s3"]]
    assert all(len(fit) + len(held) == len(table) for fit, held in found)
    gap = replace(table, folds=np.where(np.arange(len(table)) == 5, "", table.folds))
    with pytest.raises(ValueError, match="1 rows of toy have no fold"):
        official_splits(gap)


def test_partitions_give_training_development_and_the_first_test():
    table = partitioned("Train", "Train", "Development", "Test1", "Test2")
    (split,) = official_splits(table)
    parts = [sorted(set(table.partitions[rows])) for rows in (split.train, split.development, split.test)]
    assert parts == [["Train"], ["Development"], ["Test1"]]
    assert any("Test2 left out" in note for note in split.notes)
    assert any("Development, which is never trained on" in note for note in split.notes)
    hub = partitioned("train", "train", "validation", "test")
    assert len(official_splits(hub)[0].development) == 12


def test_rows_of_a_test_speaker_are_left_out_with_their_number():
    table = partitioned("train", "train", "development", "test")
    speakers = table.speakers.copy()
    speakers[[0, 1, 25]] = "s3"
    (split,) = official_splits(replace(table, speakers=speakers))
    assert not {0, 1, 25} & {*split.train, *split.development} and len(split.train) == 22
    assert any("2 of 24 training rows left out: their 1 speakers" in note for note in split.notes)
    with pytest.raises(ValueError, match="every training row"):
        official_splits(replace(table, speakers=np.full(len(table), "friend")))


def test_unknown_speakers_of_two_partitions_are_not_one_person():
    table = partitioned("Train", "Train", "Test1")
    table = replace(table, speakers=np.where(np.arange(len(table)) % 3 == 0, "Unknown", table.speakers))
    (split,) = official_splits(apart_unknown(table))
    assert len(split.train) == 24
    assert {"unknown of Train", "unknown of Test1"} < set(apart_unknown(table).speakers)
    assert apart_unknown(make_table()).speakers.tolist() == make_table().speakers.tolist()


def test_a_corpus_without_an_official_split_is_refused():
    with pytest.raises(ValueError, match="toy has no official folds or partitions"):
        study_folds(make_table(), OFFICIAL)
    with pytest.raises(ValueError, match="begin with train, test"):
        study_folds(partitioned("Train", "Session2"), OFFICIAL)


def test_the_split_travels_through_compact_features(tmp_path):
    table = with_layers(partitioned("Train", "Test1"))
    write_compact(table, tmp_path / "with")
    assert read_compact(tmp_path / "with").partitions.tolist() == table.partitions.tolist()
    write_compact(with_layers(make_table()), tmp_path / "without")
    assert "partitions" not in (tmp_path / "without" / "utterances.json").read_text()
    assert set(load_embedded("emodb").partitions) == set(load_embedded("emodb").folds) == {""}
    assert table.select([0, 20]).partitions.tolist() == ["Train", "Test1"]
