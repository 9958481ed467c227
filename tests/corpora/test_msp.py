import pytest
from trees import msp_improv, msp_podcast

from mise_hf.corpora import read_corpus

PARTITIONS = {"Train": 120, "Development": 40, "Test1": 50, "Test2": 30, "Test3": 20}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_msp_improv_reads_majority_labels_sessions_and_transcripts(tmp_path, newline):
    msp_improv(tmp_path, {"A": 20, "H": 60, "S": 20, "N": 80, "O": 10, "X": 15}, newline)
    corpus = read_corpus("msp-improv", tmp_path)
    assert corpus.counts() == {"anger": 20, "happiness": 60, "neutral": 80, "sadness": 20}
    assert sum(corpus.dropped.values()) == 25
    assert {row.fold for row in corpus.utterances} == {f"session{number}" for number in range(1, 7)}
    assert {row.speaker for row in corpus.utterances} == {f"{sex}0{n}" for sex in "FM" for n in range(1, 7)}
    for row in corpus.utterances:
        assert row.audio.stem == row.id and row.session[-1] == row.speaker[-1]
        assert row.arousal == 3.5 and row.valence == pytest.approx(3.166667)
        assert row.text == "" or row.text.startswith("Sentence ")
    assert {row.dominance for row in corpus.utterances} == {None, 3.2}
    assert any("205 turns of 8438" in finding for finding in corpus.findings)
    assert len(read_corpus("msp-improv", tmp_path, labels="all")) == 190


def test_msp_improv_complete_has_the_official_counts(tmp_path):
    msp_improv(tmp_path, {"A": 792, "H": 2644, "S": 885, "N": 3477, "O": 85, "X": 555}, transcripts=False)
    corpus = read_corpus("msp-improv", tmp_path)
    assert len(corpus) == 7798
    assert any("as in the official release" in finding for finding in corpus.findings)
    assert {row.text for row in corpus.utterances} == {""}


def test_msp_improv_without_its_files_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Evalution\.txt or Evaluation\.txt"):
        read_corpus("msp-improv", tmp_path)
    (tmp_path / "Evaluation.txt").write_text("UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:3.0; V:3.0; D:3.0 ; N:3.0;\n")
    with pytest.raises(ValueError, match="MSP-IMPROV-"):
        read_corpus("msp-improv", tmp_path)


def test_msp_podcast_keeps_the_official_partitions_and_records_release_and_classes(tmp_path):
    root = tmp_path / "MSP-PODCAST-Publish-1.11"
    msp_podcast(root, PARTITIONS)
    corpus = read_corpus("msp-podcast", root)
    assert corpus.details == {"release": "1.11", "classes": 8, "turns": PARTITIONS}
    kept = [row.partition for row in corpus.utterances]
    assert {name: kept.count(name) for name in PARTITIONS} == {name: n * 8 // 10 for name, n in PARTITIONS.items()}
    assert corpus.dropped["label 'X' is not among the chosen ones"] == 26
    assert (corpus.utterances[0].arousal, corpus.utterances[0].valence) == (4.2, 3.8)
    assert {row.text == "" for row in corpus.utterances} == {True, False}
    four = read_corpus("msp-podcast", root, labels="4", test="Test1", release="1.11-mine")
    assert four.details["classes"] == 4 and four.details["release"] == "1.11-mine"
    assert {row.partition for row in four.utterances} == {"Train", "Development", "Test1"}
    assert set(four.label_names) == {"anger", "sadness", "happiness", "neutral"}


def test_msp_podcast_refuses_a_speaker_in_two_partitions_but_not_the_unknown_one(tmp_path):
    msp_podcast(tmp_path, {"Train": 20, "Test1": 20})
    table = tmp_path / "Labels" / "labels_consensus.csv"
    text = table.read_text("utf-8-sig")
    assert "Unknown,Female,Train" in text and "Unknown,Female,Test1" in text
    table.write_text(text.replace("t12,Female,Test1", "in1,Female,Test1"), encoding="utf-8")
    with pytest.raises(ValueError, match="in1 in Test1 and Train"):
        read_corpus("msp-podcast", tmp_path)
    corpus = read_corpus("msp-podcast", tmp_path, shared_speakers=True)
    assert any("in1 in Test1 and Train" in finding for finding in corpus.findings)


def test_msp_podcast_refuses_another_table_and_an_unknown_test_partition(tmp_path):
    msp_podcast(tmp_path, {"Train": 10, "Test1": 10})
    with pytest.raises(ValueError, match=r"'Test9' is not in .*; wanted one of Test1, Train"):
        read_corpus("msp-podcast", tmp_path, test="Test9")
    (tmp_path / "Labels" / "labels_consensus.csv").write_text("FileName,EmoClass\na.wav,A\n")
    with pytest.raises(ValueError, match=r"lacks the columns \['EmoAct'"):
        read_corpus("msp-podcast", tmp_path)
