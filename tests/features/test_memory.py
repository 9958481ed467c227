"""The memory of an extraction does not grow with the corpus."""

import os
import subprocess
import sys

import pytest
import soundfile
from noise_clips import noise

from mise_hf.corpora import read_corpus, write_prepared

CHILD = """
import resource, sys
from mise_hf.features.encoders import load_audio_encoder
from mise_hf.features.extraction import extract
encoder = load_audio_encoder(sys.argv[1], (1, 3))
for prepared in sys.argv[2:]:
    extract(prepared, prepared + "-features", encoder, shard_rows=32, progress=False)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_ten_times_the_corpus_takes_the_same_memory(whisper_dir, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(10.0)[:, 0], 16000)
    folders = []
    for rows in (64, 640):
        lines = ["id,path,label"] + [f"{row},a.wav,x" for row in range(rows)]
        (tmp_path / f"{rows}.csv").write_text("\n".join(lines))
        folders.append(tmp_path / f"prepared-{rows}")
        write_prepared(read_corpus("manifest", tmp_path / f"{rows}.csv"), folders[-1])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, whisper_dir, *folders],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    small, large = (int(line) / 1024 for line in done.stdout.split())
    # The waveforms of the 576 rows more would be 370 MB, their log-mel 185 MB.
    assert large - small < 100
