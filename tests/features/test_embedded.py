import runpy
import sys
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from mise_hf.corpora import read_corpus, write_prepared
from mise_hf.features import FeatureTable, load_embedded, require_same
from mise_hf.features.embedded import main, read_compact, write_compact
from mise_hf.features.encoders import load_audio_encoder, load_text_encoder
from mise_hf.features.extraction import extract

LAYERS = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "layers.py"))


def test_the_whole_of_emodb_comes_with_the_package_small_and_fast():
    started = time.process_time()
    table = load_embedded("emodb")
    assert time.process_time() - started < 0.5
    assert len(table) == 535 and len(np.unique(table.speakers)) == 10 and len(np.unique(table.texts)) == 10
    assert np.bincount(table.labels).tolist() == [127, 81, 46, 69, 71, 79, 62]
    assert table.label_names == ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")
    assert table.audio_states.shape == (535, 4, 1024) and table.audio_states.dtype == np.float16
    assert table.text_states.shape == (535, 1, 768) and table.audio_layers == (1, 2, 3, 4)
    assert sum(path.stat().st_size for path in (files("mise_hf") / "data" / "emodb").iterdir()) <= 6_000_000
    first = table.ids.tolist().index("03a01Fa")
    assert (table.speakers[first], table.label_names[table.labels[first]]) == ("03", "happiness")


def test_its_third_layer_tells_emotions_of_unseen_speakers(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["layers.py", "emodb", "--layers", "3"])
    assert LAYERS["main"]() == 0
    layer, uar = capsys.readouterr().out.splitlines()[-1].split()
    assert layer == "3" and 0.91 <= float(uar) < 0.94
    monkeypatch.setattr(sys, "argv", ["layers.py", "emodb", "--layers", "6"])
    assert LAYERS["main"]() == 1 and "layer 6 is not in the table" in capsys.readouterr().err


def test_rows_made_again_from_audio_are_the_embedded_ones(shared_dir, clips_dir, tmp_path):
    write_prepared(read_corpus("emodb", clips_dir), tmp_path / "prepared")
    audio = load_audio_encoder(str(shared_dir / "encoders" / "whisper-base-encoder"), (1, 2, 3, 4))
    text = load_text_encoder(str(shared_dir / "encoders" / "all-minilm-l6-v2"), None)
    extract(tmp_path / "prepared", tmp_path / "features", audio, text, progress=False, strict=True)
    made, embedded = FeatureTable.from_folder(tmp_path / "features"), load_embedded("emodb")
    same = embedded.select([embedded.ids.tolist().index(name) for name in made.ids])
    require_same(made.fingerprint, same.fingerprint)
    assert made.labels.tolist() == same.labels.tolist() and made.texts.tolist() == same.texts.tolist()
    assert made.speakers.tolist() == same.speakers.tolist()
    for name in ("audio_states", "text_states"):
        ours, theirs = (getattr(each, name).astype(np.float64) for each in (made, same))
        assert np.abs(ours - theirs).max() <= 2e-3 * np.abs(theirs).max()
        assert np.median(np.abs(ours - theirs)) <= 1e-4


def test_compact_files_give_the_table_back(tmp_path):
    table = load_embedded("emodb").select([0, 100, 200, 534])
    write_compact(table, tmp_path)
    back = read_compact(tmp_path)
    for name in ("audio_states", "text_states", "labels", "ids", "speakers", "texts", "sessions"):
        assert np.array_equal(getattr(back, name), getattr(table, name)), name
    assert back.fingerprint == table.fingerprint


def test_unknown_names_and_folders_are_refused(tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match="'iemocap' come with the package; wanted one of emodb"):
        load_embedded("iemocap")
    arguments = ["--corpus", tmp_path / "no", "--audio-encoder", "x", "--text-encoder", "y", "--out", tmp_path / "o"]
    monkeypatch.setattr(sys, "argv", ["embedded", *map(str, arguments)])
    assert main() == 1 and "is no folder" in capsys.readouterr().err
