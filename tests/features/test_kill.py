"""An extraction that is killed at random moments ends with the dataset of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mise_hf.features import FeatureTable
from mise_hf.features.encoders import load_audio_encoder
from mise_hf.features.extraction import extract

# Starts an extraction at once, encoders loaded, so that kills fall into the extraction and not into imports.
CHILD = """
import sys
from mise_hf.features.encoders import load_audio_encoder
from mise_hf.features.extraction import extract
import torch
torch.set_num_threads(1)
encoder = load_audio_encoder(sys.argv[1], (1, 3))
print("ready", flush=True)
extract(sys.argv[2], sys.argv[3], encoder, shard_rows=2, progress=False)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_and_continued_is_the_same_as_undisturbed(make_corpus, whisper_dir, tmp_path, kills):
    rng = random.Random(0)
    prepared = make_corpus(np.linspace(0.4, 3.0, 120).tolist())
    torch_threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    encoder = load_audio_encoder(str(whisper_dir), (1, 3))
    extract(prepared, tmp_path / "undisturbed", encoder, shard_rows=2, progress=False)
    out = tmp_path / "killed"
    shards = set()
    interrupted = 0
    for _ in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, whisper_dir, prepared, out], stdout=subprocess.PIPE, env=torch_threads
        )
        assert child.stdout.readline() == b"ready\n"
        # By what it has done and not by the clock, so that a busy machine is hit in the middle of the work too: after
        # a few of its 60 shards, and a random part of the next one.
        after = len(shards) + rng.randint(0, 40 // kills)
        while child.poll() is None and len(list(out.glob("shard-*"))) < after:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.03))
        child.send_signal(signal.SIGKILL)
        child.wait()
        found = {path.name for path in out.glob("shard-*")}
        assert shards <= found
        interrupted += not (out / "fingerprint.json").exists()
        shards = found
    assert interrupted > 0 and len(shards) > 0
    result = extract(prepared, out, encoder, shard_rows=2, progress=False)
    assert result.complete and result.rows == 2 * (60 - len(shards))
    killed, undisturbed = FeatureTable.from_folder(out), FeatureTable.from_folder(tmp_path / "undisturbed")
    assert killed.ids.tolist() == undisturbed.ids.tolist() == [f"{place:03d}" for place in range(120)]
    np.testing.assert_allclose(
        killed.audio_states.astype(np.float32), undisturbed.audio_states.astype(np.float32), atol=2e-3, rtol=2e-3
    )
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in (tmp_path / "undisturbed").iterdir()
    )
