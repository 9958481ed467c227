import csv
import json
import os
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trees import wav_bytes, write_wav

from mise_hf.cli import main
from mise_hf.corpora import CORPORA, read_corpus, read_prepared, write_prepared
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
        ("list.csv", b"path;emotion\na/1.wav;happy\n", "has the columns path;emotion; wanted a label"),
        ("list.csv", b"path,emotion\na/1.wav,happy,oops\n", "row 1 .* has 3 fields; wanted 2: path, emotion"),
        ("list.csv", "path,emotion\na/1.wav,fröhlich\n".encode("latin-1"), "is not in UTF-8"),
        ("list.csv", b'path,emotion\na/1.wav,"happy' + b"x" * 200_000, "is no line of a table: field larger"),
        ("list.jsonl", '{"path": "ö"}'.encode("utf-16"), "is not in UTF-8"),
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


def test_readme_names_every_reader_as_the_command_does():
    section = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").partition("## Prepare, extract")[2]
    assert all(f"`{name}`" in section.partition("## Train")[0] for name in CORPORA)


def test_unknown_corpora_and_options_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'timit' is unknown; wanted one of iemocap"):
        read_corpus("timit", tmp_path)
    with pytest.raises(ValueError, match="emodb takes no release; wanted some of labels"):
        read_corpus("emodb", tmp_path, release="1")


def test_a_manifest_with_unicode_and_odd_names(tmp_path):
    names = ["Größe 1 #a.wav", "日本/語.wav", "it's, “so”.wav", "-dash.wav", "c.old.wav"]
    texts = ["Ja\u2028nein", 'Er sagte: "Nein"', "Ein\x85Wort", "😀", "a, b"]
    for name in names:
        write_wav(tmp_path / name)
    rows = [{"path": name, "emotion": "ärgerlich", "text": text} for name, text in zip(names, texts, strict=True)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / "list.jsonl").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    with (tmp_path / "list.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for kind in ("jsonl", "csv"):
        corpus = read_corpus("manifest", tmp_path / f"list.{kind}")
        assert [row.id for row in corpus.utterances] == names and corpus.label_names == ("ärgerlich",)
        assert [row.text for row in corpus.utterances] == texts
        prepared = write_prepared(corpus, tmp_path / kind)
        assert [row["audio"] for row in prepared.rows(0, 5)] == [str((tmp_path / name).resolve()) for name in names]


def test_spaces_round_the_names_of_columns_do_not_matter(folder):
    (folder / "list.csv").write_bytes(b"path , emotion,  speaker\r\na/1.wav, happy, s1\r\n")
    corpus = read_corpus("manifest", folder / "list.csv")
    assert [(row.raw_label, row.speaker) for row in corpus.utterances] == [("happy", "s1")]


def test_a_parquet_of_audio_columns_gives_its_paths_and_refuses_bytes(folder):
    kept = {"audio": {"bytes": None, "path": "a/1.wav"}, "label": "happy"}
    pq.write_table(pa.Table.from_pylist([kept]), folder / "list.parquet")
    assert read_corpus("manifest", folder / "list.parquet").utterances[0].audio == folder / "a" / "1.wav"
    pq.write_table(pa.Table.from_pylist([{**kept, "audio": {"bytes": b"RIFF", "path": None}}]), folder / "list.parquet")
    with pytest.raises(ValueError, match="row 1 keeps its audio as bytes; wanted a path"):
        read_corpus("manifest", folder / "list.parquet")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a file name be any bytes")
def test_a_file_whose_name_is_no_utf8_is_counted_and_left_out(tmp_path):
    write_wav(tmp_path / "happy" / "good.wav")
    (tmp_path / "happy" / os.fsdecode(b"caf\xe9.wav")).write_bytes(wav_bytes("x"))
    corpus = read_corpus("folder", tmp_path)
    assert len(corpus) == 1 and corpus.dropped == {"audio file has a name that is no UTF-8": 1}


def test_the_guards_speak_through_the_command(folder, capsys):
    (folder / "b" / "4.wav").write_bytes((folder / "a" / "1.wav").read_bytes())
    head, rows = "id,path,emotion,speaker,session,split,text\n", [
        "1,a/1.wav,happy,s1,d1,train,Dogs are sitting",
        "2,a/2.wav,angry,s2,d2,test,dogs are sitting",
        "3,b/3.wav,angry,s2,d2,test,So?",
        "4,b/4.wav,happy,s3,d3,test,",
    ]  # fmt: skip
    manifest, out = folder / "list.csv", folder / "p"
    manifest.write_text(head + "\n".join(rows))
    assert main(["prepare", "manifest", str(manifest), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "1  byte-identical to audio on the other side of a split" in told
    assert "4 is byte-identical to 1; it is dropped" in told
    assert "1 of 2 distinct sentences come in more than one fold or partition" in told
    assert [row["id"] for row in read_prepared(out).rows(0, 9)] == ["1", "2", "3"]
    for changed, said in (("s1,d4", "s1 in test and train"), ("s4,d1", "d1 in test and train")):
        manifest.write_text(head + "\n".join([*rows[:2], f"3,b/3.wav,angry,{changed},test,So?"]))
        assert main(["prepare", "manifest", str(manifest), "--out", str(folder / "q")]) == 1
        assert said in capsys.readouterr().err
        assert not (folder / "q" / "corpus.json").exists()


def test_fields_may_be_named_as_the_columns_usually_are(folder):
    path = folder / "list.csv"
    path.write_text("wav,feeling,who\na/1.wav,happy,s1\na/2.wav,angry,s2\n")
    told = {"file": "wav", "emotion": "feeling", "speaker": "who"}
    corpus = read_corpus("manifest", path, columns=told)
    assert [(row.raw_label, row.speaker) for row in corpus.utterances] == [("happy", "s1"), ("angry", "s2")]
    with pytest.raises(ValueError, match="under two names"):
        read_corpus("manifest", path, columns={**told, "audio": "wav"})


def test_a_corpus_without_speakers_is_told_so(folder, tmp_path, capsys):
    path = folder / "list.csv"
    path.write_text("file,emotion,who\na/1.wav,happy,s1\na/2.wav,angry,s2\n")
    assert main(["prepare", "manifest", str(path), "--out", str(tmp_path / "out")]) == 0
    assert "--column speaker=WHO" in capsys.readouterr().out


def test_clips_that_are_missing_are_named(folder):
    path = folder / "list.csv"
    path.write_text("file,emotion,speaker\na/1.wav,happy,s1\na/2.wav,angry,s2\nnone.wav,angry,s2\n")
    corpus = read_corpus("manifest", path)
    assert corpus.dropped["audio file is missing"] == 1 and "dropped for their audio: none.wav" in corpus.findings
