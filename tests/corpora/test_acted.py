import shutil

import pytest
from trees import write_wav

from mise_hf.corpora import read_corpus


def test_emodb_from_the_clips_that_come_with_the_repository(clips_dir, tmp_path):
    corpus = read_corpus("emodb", clips_dir)
    assert len(corpus) == 20 and {row.speaker for row in corpus.utterances} == {"11", "13"}
    assert corpus.counts() == dict.fromkeys(("boredom", "disgust", "fear", "happiness", "neutral", "sadness"), 3) | {
        "anger": 2
    }
    assert all(row.text.endswith((".", "?")) and row.language == "de" for row in corpus.utterances)
    assert all(1 < seconds < 6 for seconds in corpus.durations)
    shutil.copytree(clips_dir, tmp_path / "wav")
    official = read_corpus("emodb", tmp_path)
    assert [row.id for row in official.utterances] == [row.id for row in corpus.utterances]
    assert read_corpus("emodb", clips_dir, labels="4").label_names == ("anger", "happiness", "neutral", "sadness")


def test_the_whole_of_emodb_and_ravdess(shared_dir):
    emodb = read_corpus("emodb", shared_dir / "corpora" / "emodb")
    assert len(emodb) == 535 and any("as in the official release" in finding for finding in emodb.findings)
    ravdess = read_corpus("ravdess", shared_dir / "corpora" / "ravdess")
    assert len(ravdess) == 1440 and len({row.speaker for row in ravdess.utterances}) == 24
    assert any("as in the official release" in finding for finding in ravdess.findings)
    pair = [finding for finding in ravdess.findings if "byte-identical" in finding]
    assert len(pair) == 1 and "both are kept" in pair[0]
    assert any("2 of 2 distinct sentences" in finding for finding in ravdess.findings)


def test_ravdess_leaves_song_and_video_out(tmp_path):
    for name in ("03-01-05-01-01-01-12", "03-02-05-01-01-01-12", "01-01-05-01-01-01-12"):
        write_wav(tmp_path / "Actor_12" / f"{name}.wav")
    corpus = read_corpus("ravdess", tmp_path)
    assert [row.id for row in corpus.utterances] == ["03-01-05-01-01-01-12"]
    assert corpus.utterances[0].text.startswith("Kids") and corpus.counts()["anger"] == 1


def test_crema_d_names(tmp_path):
    for name in ("1001_DFA_ANG_XX", "1001_IEO_HAP_HI", "1091_WSI_NEU_XX", "note"):
        write_wav(tmp_path / "AudioWAV" / f"{name}.wav")
    corpus = read_corpus("crema-d", tmp_path)
    assert [(row.speaker, row.raw_label, row.text[:5]) for row in corpus.utterances] == [
        ("1001", "ANG", "Don't"),
        ("1001", "HAP", "It's "),
        ("1091", "NEU", "We'll"),
    ]
    assert any("3 turns of 7442" in finding for finding in corpus.findings)


def test_a_complete_crema_d_has_the_official_counts(tmp_path):
    emotions = [(name, 1087 if name == "NEU" else 1271) for name in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")]
    for emotion, number in emotions:
        for place in range(number):
            write_wav(tmp_path / "AudioWAV" / f"{1001 + place % 91}_{chr(65 + place // 91)}AA_{emotion}_XX.wav")
    corpus = read_corpus("crema-d", tmp_path)
    assert len(corpus) == 7442 and any("as in the official release" in finding for finding in corpus.findings)


@pytest.mark.parametrize("name", ["emodb", "ravdess", "crema-d"])
def test_a_folder_of_something_else_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="is no folder"):
        read_corpus(name, tmp_path / "nowhere")
    write_wav(tmp_path / "something.wav")
    with pytest.raises(ValueError, match=r"holds no .*wanted the"):
        read_corpus(name, tmp_path)
