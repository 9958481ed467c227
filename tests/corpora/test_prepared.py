import json

import datasets
import pytest

from mise_hf.cli import main
from mise_hf.corpora import read_corpus, read_prepared, write_prepared


def test_prepared_rows_come_back_and_load_as_a_dataset(clips_dir, tmp_path):
    corpus = read_corpus("emodb", clips_dir)
    write_prepared(corpus, tmp_path / "p")
    prepared = read_prepared(tmp_path / "p")
    assert len(prepared) == 20 and prepared.label_names == corpus.label_names
    rows = prepared.rows(3, 9)
    assert [row["id"] for row in rows] == [row.id for row in corpus.utterances[3:9]]
    assert rows[0]["audio"] == str(corpus.utterances[3].audio.resolve()) and rows[0]["raw_label"] in "WLEAFTN"
    loaded = datasets.load_dataset(str(tmp_path / "p"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.features["label"].names == list(corpus.label_names)
    assert loaded.features["audio"] == datasets.Audio(decode=False)
    assert loaded[3]["audio"]["path"] == rows[0]["audio"] and loaded[3]["duration"] == rows[0]["duration"]
    story = json.loads((tmp_path / "p" / "corpus.json").read_text(encoding="utf-8"))
    assert story["label_map"]["W"] == "anger" and story["counts"] == corpus.counts() and story["findings"]


def test_rows_across_row_groups(clips_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("mise_hf.corpora.prepared.ROW_GROUP", 6)
    corpus = read_corpus("emodb", clips_dir)
    prepared = write_prepared(corpus, tmp_path / "p")
    ids = [row.id for row in corpus.utterances]
    for start, stop in ((0, 20), (5, 7), (6, 12), (11, 20), (18, 40), (20, 25)):
        assert [row["id"] for row in prepared.rows(start, stop)] == ids[start:stop]


def test_a_prepared_folder_is_not_overwritten_unasked(clips_dir, tmp_path):
    corpus = read_corpus("emodb", clips_dir)
    write_prepared(corpus, tmp_path / "p")
    with pytest.raises(ValueError, match="holds a prepared corpus"):
        write_prepared(corpus, tmp_path / "p")
    write_prepared(corpus, tmp_path / "p", overwrite=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="cannot be written"):
        write_prepared(corpus, tmp_path / "file" / "p")
    with pytest.raises(ValueError, match="run `mise-hf prepare`"):
        read_prepared(tmp_path / "nowhere")


def test_the_command_tells_merges_drops_and_counts(clips_dir, tmp_path, capsys):
    assert main(["prepare", "emodb", str(clips_dir), "--out", str(tmp_path / "p"), "--labels", "4"]) == 0
    told = capsys.readouterr().out
    assert ["happiness", "3", "from", "F"] in [line.split() for line in told.splitlines()]
    assert "dropped: 9" in told and "label 'A' is not among the chosen ones" in told
    assert "20 turns of 535" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["emodb", "CLIPS", "--labels", "9"], "labels '9' are unknown"),
        (["emodb", "CLIPS", "--release", "1"], "emodb takes no release"),
        (["emodb", "CLIPS", "--label-map", "W"], "--label-map is 'W'; wanted NAME=NAME"),
        (["emodb", "nowhere"], "is no folder"),
    ],
)
def test_bad_arguments_end_with_one_line_and_status_1(clips_dir, tmp_path, capsys, arguments, said):
    given = [str(clips_dir) if word == "CLIPS" else word for word in arguments]
    assert main(["prepare", *given, "--out", str(tmp_path / "p")]) == 1
    assert said in capsys.readouterr().err


def test_a_label_map_replaces_the_corpus_own_sets(clips_dir):
    corpus = read_corpus("emodb", clips_dir, label_map={"W": "negative", "T": "negative", "F": "positive"})
    assert corpus.counts() == {"negative": 5, "positive": 3}
    assert not any("official" in finding for finding in corpus.findings)
