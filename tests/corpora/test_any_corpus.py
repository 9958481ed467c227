import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trees import wav_bytes, write_wav

from mise_hf.corpora import read_corpus
from mise_hf.corpora.hf_dataset import read_rows

ROWS = [
    {"path": "a/1.wav", "emotion": "happy", "transcript": "Ja, wirklich.", "speaker": "s1", "valence": "4.5"},
    {"path": "a/2.wav", "emotion": "angry", "transcript": "", "speaker": "s2", "valence": ""},
    {"path": "b/3.wav", "emotion": "excited", "transcript": "So?", "speaker": "s2", "valence": "nan"},
]


@pytest.fixture
def folder(tmp_path):
    for row in ROWS:
        write_wav(tmp_path / row["path"])
    return tmp_path


def write_manifest(folder, kind):
    path = folder / f"list.{kind}"
    if kind in ("csv", "tsv"):
        sign = {"csv": ",", "tsv": "\t"}[kind]
        lines = [sign.join(ROWS[0])] + [sign.join(f'"{value}"' for value in row.values()) for row in ROWS]
        path.write_bytes(("\r\n".join(lines) + "\r\n").encode("utf-8-sig"))
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n", encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_a_manifest_of_every_kind(folder, kind):
    corpus = read_corpus("manifest", write_manifest(folder, kind), name="mine")
    assert corpus.name == "mine" and corpus.label_names == ("angry", "excited", "happy")
    assert [row.audio for row in corpus.utterances] == [folder / row["path"] for row in ROWS]
    assert [row.text for row in corpus.utterances] == ["Ja, wirklich.", "", "So?"]
    assert [row.valence for row in corpus.utterances] == [4.5, None, None]


def test_a_manifest_with_columns_of_other_names_and_merged_labels(folder):
    path = write_manifest(folder, "csv")
    path.write_text(path.read_text("utf-8-sig").replace("path", "WAV").replace("emotion", "KLASSE"))
    with pytest.raises(ValueError, match=r"has the columns WAV, KLASSE, .*wanted a label"):
        read_corpus("manifest", path)
    columns = {"audio": "WAV", "label": "KLASSE"}
    corpus = read_corpus(
        "manifest", path, columns=columns, label_map={"happy": "happiness", "excited": "happiness", "sad": "sadness"}
    )
    assert corpus.counts() == {"happiness": 2, "sadness": 0}
    assert corpus.dropped == {"label 'angry' is not among the chosen ones": 1}
    with pytest.raises(ValueError, match="no column KLASSEN"):
        read_corpus("manifest", path, columns={"label": "KLASSEN"})
    with pytest.raises(ValueError, match=r"unknown fields \['emo'\]"):
        read_corpus("manifest", path, columns={"emo": "KLASSE"})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("list.txt", b"a", "kind '.txt'"),
        ("list.csv", b"path,emotion\n", "has no row"),
        ("list.jsonl", b'{"path": "a"}\n{oops\n', "line 2 .* is no JSON"),
        ("list.jsonl", b"[1]\n", "no JSON objects"),
        ("list.parquet", b"PAR?", "no Parquet file"),
        ("list.csv", b"path,emotion,valence\na/1.wav,happy,high\n", "row 1 has valence 'high'"),
        ("list.csv", b"id,path,emotion\n1,a/1.wav,happy\n1,a/2.wav,angry\n", "'1' comes twice"),
        ("list.csv", b"path,emotion\nnone.wav,happy\n", "no utterance .*audio file is missing"),
        ("list.csv", b"path,emotion\na/1.wav,\na/2.wav,\n", "'no label': 2"),
    ],
)
def test_bad_manifests_are_refused(folder, name, content, said):
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_corpus("manifest", folder / name)


def test_a_missing_manifest_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no file"):
        read_corpus("manifest", tmp_path / "list.csv")


def test_a_folder_for_each_label(tmp_path):
    for name in ("happy/s1_a.wav", "happy/deep/s2_b.wav", "angry/s1_c.wav", "angry/notes.txt", "angry/.hidden.wav"):
        write_wav(tmp_path / name)
    corpus = read_corpus("folder", tmp_path, speaker_pattern=r"^(s\d)_")
    assert [(row.id, row.raw_label, row.speaker) for row in corpus.utterances] == [
        ("angry/s1_c", "angry", "s1"),
        ("happy/deep/s2_b", "happy", "s2"),
        ("happy/s1_a", "happy", "s1"),
    ]
    assert {row.speaker for row in read_corpus("folder", tmp_path).utterances} == {""}
    for pattern, said in (("(", "no regular expression"), ("s1", "no group"), ("(x)", "finds nothing in 's1_c.wav'")):
        with pytest.raises(ValueError, match=said):
            read_corpus("folder", tmp_path, speaker_pattern=pattern)


def test_a_folder_without_audio_is_refused(tmp_path):
    (tmp_path / "happy").mkdir()
    with pytest.raises(ValueError, match="has no audio"):
        read_corpus("folder", tmp_path)


FEATURES = datasets.Features(
    {
        # How Audio is stored: making it through datasets.Audio would need torchcodec.
        "wav": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
        "mood": datasets.ClassLabel(names=["low", "high"]),
        "speaker": datasets.Value("string"),
    }
)


def test_a_dataset_with_class_labels_splits_and_audio(tmp_path):
    splits = {}
    for split in ("train", "test"):
        rows = []
        for place in range(3):
            name = f"{split}{place}.wav"
            rows.append(
                {"wav": {"bytes": wav_bytes(name), "path": name}, "mood": place % 2, "speaker": f"{split}-{place}"}
            )
        made = datasets.Dataset.from_list(rows, features=FEATURES)
        splits[split] = made.cast_column("wav", datasets.Audio(decode=False))
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    options = {"columns": {"audio": "wav", "label": "mood"}, "audio_folder": tmp_path / "audio"}
    corpus = read_corpus("dataset", tmp_path / "saved", **options)
    assert [row.partition for row in corpus.utterances] == ["train"] * 3 + ["test"] * 3
    assert corpus.counts() == {"high": 2, "low": 4}
    assert all(seconds == pytest.approx(0.01) for seconds in corpus.durations)
    one = read_corpus("dataset", tmp_path / "saved", split="test", **options)
    assert len(one) == 3 and {row.partition for row in one.utterances} == {""}
    with pytest.raises(ValueError, match="no split 'dev'; it has train, test"):
        read_corpus("dataset", tmp_path / "saved", split="dev", **options)
    with pytest.raises(ValueError, match="keeps its audio as bytes"):
        read_corpus("dataset", tmp_path / "saved", columns=options["columns"])


def test_a_dataset_of_paths_copies_no_audio(tmp_path):
    write_wav(tmp_path / "a.wav")
    rows = [{"wav": {"bytes": None, "path": str(tmp_path / "a.wav")}, "mood": 1, "speaker": "s"}]
    dataset = datasets.Dataset.from_list(rows, features=FEATURES).cast_column("wav", datasets.Audio(decode=False))
    found = read_rows(dataset, {"audio": "wav", "label": "mood"}, audio_folder=tmp_path / "audio")
    assert found[0].audio == tmp_path / "a.wav" and found[0].raw_label == "high"
    assert not (tmp_path / "audio").exists()


def test_a_dataset_that_does_not_load_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not load"):
        read_corpus("dataset", tmp_path / "nowhere")


def test_unknown_corpora_and_options_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'timit' is unknown; wanted one of iemocap"):
        read_corpus("timit", tmp_path)
    with pytest.raises(ValueError, match="emodb takes no release; wanted some of labels"):
        read_corpus("emodb", tmp_path, release="1")
