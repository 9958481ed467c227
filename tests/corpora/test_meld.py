import pytest
from trees import write_wav

from mise_hf.corpora import read_corpus

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
TABLES = {
    "train_sent_emo.csv": "train_splits",
    "dev_sent_emo.csv": "dev_splits_complete",
    "test_sent_emo.csv": "output_repeated_splits_test",
}


@pytest.fixture
def root(tmp_path):
    for table, folder in TABLES.items():
        lines = [HEADER]
        for place, emotion in enumerate(("joy", "anger", "neutral", "surprise")):
            lines.append(f'{place},"Why, that\x92s {place} {table}",Ross,{emotion},x,0,{place},1,1,"0:0,1","0:0,2"')
            write_wav(tmp_path / folder / f"dia0_utt{place}.wav")
        (tmp_path / table).write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def test_meld_keeps_its_partitions_and_says_that_they_share_speakers(root):
    corpus = read_corpus("meld", root)
    assert [row.partition for row in corpus.utterances] == ["train"] * 4 + ["development"] * 4 + ["test"] * 4
    assert corpus.counts()["happiness"] == 3 and corpus.label_map["joy"] == "happiness"
    assert corpus.utterances[0].text == "Why, that\u2019s 0 train_sent_emo.csv"
    assert any("Ross in development and test and train" in finding for finding in corpus.findings)
    assert len(read_corpus("meld", root, labels="4")) == 9


def test_meld_without_extracted_audio_needs_text_only(root):
    for path in root.rglob("*.wav"):
        path.rename(path.with_suffix(".mp4"))
    with pytest.raises(ValueError, match="audio file is missing"):
        read_corpus("meld", root)
    corpus = read_corpus("meld", root, text_only=True)
    assert len(corpus) == 12 and all(row.audio is None for row in corpus.utterances)
    assert corpus.durations == [None] * 12


def test_melds_real_transcripts(shared_dir):
    corpus = read_corpus("meld", shared_dir / "corpora" / "meld_text", text_only=True)
    assert len(corpus) == 13708 and any("as in the official release" in finding for finding in corpus.findings)


def test_meld_refuses_a_missing_or_other_table(root):
    (root / "dev_sent_emo.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"lacks the columns \['Utterance'"):
        read_corpus("meld", root)
    (root / "dev_sent_emo.csv").unlink()
    with pytest.raises(ValueError, match=r"dev_sent_emo\.csv"):
        read_corpus("meld", root)
