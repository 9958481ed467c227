"""The whole way from a corpus as it is handed out to a classifier that knows unseen speakers."""

import subprocess
import sys

import pytest
from test_embedded import grouped_uar

from mise_hf.features import FeatureTable, load_embedded, require_same


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rows", "least"), [("emodb", 535, 0.91), ("ravdess", 1440, 0.73)])
def test_prepare_extract_and_a_logistic_regression(shared_dir, tmp_path, name, rows, least):
    encoders = shared_dir / "encoders"
    prepare = ["corpora.command", name, shared_dir / "corpora" / name, "--out", tmp_path / "p"]
    audio = ["--audio-encoder", encoders / "whisper-base-encoder", "--layers", "1-4"]
    text = ["--text-encoder", encoders / "all-minilm-l6-v2"]
    for module, *words in (prepare, ["features.command", tmp_path / "p", *audio, *text, "--out", tmp_path / "f"]):
        subprocess.run([sys.executable, "-m", f"mise_hf.{module}", *map(str, words)], check=True, timeout=500)
    table = FeatureTable.from_folder(tmp_path / "f")
    require_same(table.fingerprint, load_embedded("emodb").fingerprint)
    assert len(table) == rows
    assert grouped_uar(table, 3) >= least
