import time

import pytest
from trees import IEMOCAP_LABELS, iemocap, write_wav

from mise_hf.corpora import read_corpus

SMALL = {"neu": 30, "hap": 10, "exc": 15, "ang": 20, "sad": 20, "fru": 10, "dis": 2, "xxx": 25}


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    root = tmp_path_factory.mktemp("IEMOCAP_full_release")
    iemocap(root, IEMOCAP_LABELS)
    return root


@pytest.fixture
def small(tmp_path):
    iemocap(tmp_path, SMALL, newline="\r\n")
    return tmp_path


def test_the_full_release_gives_the_official_5531_rows_in_time(full):
    started = time.process_time()
    corpus = read_corpus("iemocap", full)
    assert time.process_time() - started < 20
    assert len(corpus) == 5531
    assert corpus.counts() == {"anger": 1103, "happiness": 1636, "neutral": 1708, "sadness": 1084}
    assert sum(corpus.dropped.values()) == 10039 - 5531
    assert corpus.dropped["label 'xxx' is not among the chosen ones"] == 2507
    assert {row.fold for row in corpus.utterances} == {f"Session{number}" for number in range(1, 6)}
    assert len({row.speaker for row in corpus.utterances}) == 10
    assert corpus.details["excited"] == "merged into happiness"
    assert any("as in the official release" in finding for finding in corpus.findings)


@pytest.mark.parametrize(
    ("labels", "rows", "excited"),
    [("all", 10039 - 2507, "a class of its own"), ("4-without-excited", 5531 - 1041, "left out")],
)
def test_other_sets_of_labels_have_their_official_counts_too(full, labels, rows, excited):
    corpus = read_corpus("iemocap", full, labels=labels)
    assert len(corpus) == rows and corpus.details["excited"] == excited


def test_a_turn_carries_what_the_release_says_of_it(small):
    corpus = read_corpus("iemocap", small, labels="all")
    for row in corpus.utterances:
        assert row.audio.is_file() and row.audio.stem == row.id
        assert row.speaker == row.id[:5] + row.id[-4]
        assert row.session == f"Session{row.id[4]}" == row.fold
        assert (row.valence, row.dominance) == (2.5, 3.0) and row.arousal in (2.0, 3.0, 4.0)
    texts = {row.id: row.text for row in corpus.utterances}
    assert all(text == "" or text.startswith("Sentence Ses0") for text in texts.values())
    assert 0 < sum(text == "" for text in texts.values()) < len(texts) / 5
    assert all(seconds == pytest.approx(0.01) for seconds in corpus.durations)


def test_labels_can_be_undone(small):
    corpus = read_corpus("iemocap", small)
    for row, label in zip(corpus.utterances, corpus.labels, strict=True):
        assert corpus.label_map[row.raw_label] == corpus.label_names[label]
    assert {row.raw_label for row in corpus.utterances} == {"neu", "hap", "exc", "ang", "sad"}


def test_an_incomplete_release_shows_the_difference_and_counts_missing_files(small):
    rows = read_corpus("iemocap", small, labels="all").utterances
    rows[0].audio.unlink()
    rows[7].audio.write_bytes(b"")
    corpus = read_corpus("iemocap", small, labels="all")
    assert dict(corpus.dropped) == {
        "audio file is missing": 1,
        "audio file has no byte": 1,
        "label 'xxx' is not among the chosen ones": 25,
    }
    assert any("not the complete release: 130 turns of 10039" in finding for finding in corpus.findings)
    assert any("neutral" in finding and "(official 1708)" in finding for finding in corpus.findings)


def test_a_release_whose_audio_is_incomplete_is_told_and_not_refused(full):
    audio = read_corpus("iemocap", full).utterances[99].audio
    content = audio.read_bytes()
    audio.unlink()
    corpus = read_corpus("iemocap", full, labels="all")
    audio.write_bytes(content)
    assert any("not the complete release: 10038 turns of 10039" in finding for finding in corpus.findings)


def test_a_complete_release_with_other_counts_is_refused(full):
    evaluation = next(path for path in sorted(full.glob("Session2/dialog/EmoEvaluation/Ses*.txt")))
    content = evaluation.read_text()
    evaluation.write_text(content.replace("\tneu\t", "\tang\t", 1))
    with pytest.raises(ValueError, match=r"neutral 1707 \(official 1708\), anger 1104 \(official 1103\)"):
        read_corpus("iemocap", full)
    evaluation.write_text(content)


def test_a_transcript_folder_may_be_missing(small):
    for path in small.glob("Session*/dialog/transcriptions/*"):
        path.unlink()
    assert {row.text for row in read_corpus("iemocap", small).utterances} == {""}


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Session1, Session2"):
        read_corpus("iemocap", tmp_path)
    write_wav(tmp_path / "Session1" / "sentences" / "wav" / "a.wav")
    with pytest.raises(ValueError, match="EmoEvaluation"):
        read_corpus("iemocap", tmp_path)
    with pytest.raises(ValueError, match="'5' are unknown for iemocap; wanted one of 4, "):
        read_corpus("iemocap", tmp_path, labels="5")
