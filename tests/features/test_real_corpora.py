"""The whole way from a corpus as it is handed out to a classifier that knows unseen speakers."""

import subprocess
import sys

import pytest
from test_embedded import LAYERS

from mise_hf.features import FeatureTable, load_embedded, require_same


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rows", "least"), [("emodb", 535, 0.91), ("ravdess", 1440, 0.73)])
def test_prepare_extract_and_a_logistic_regression(shared_dir, tmp_path, name, rows, least):
    encoders = shared_dir / "encoders"
    prepare = ["prepare", name, shared_dir / "corpora" / name, "--out", tmp_path / "p"]
    audio = ["--audio-encoder", encoders / "whisper-base-encoder", "--layers", "1-4"]
    text = ["--text-encoder", encoders / "all-minilm-l6-v2"]
    for words in (prepare, ["extract", tmp_path / "p", *audio, *text, "--out", tmp_path / "f"]):
        subprocess.run([sys.executable, "-m", "mise_hf.cli", *map(str, words)], check=True)
    table = FeatureTable.from_folder(tmp_path / "f")
    require_same(table.fingerprint, load_embedded("emodb").fingerprint)
    assert len(table) == rows
    assert LAYERS["grouped_uar"](table, 3) >= least
