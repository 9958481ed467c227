"""Processes that are launched together, as torchrun and accelerate do it, on CPUs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mise_hf.features import FeatureTable
from mise_hf.features.encoders import load_audio_encoder
from mise_hf.features.extraction import extract

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ACCELERATE = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0")
SECONDS = 400


def start(launcher, source, out, encoder, *more):
    """`mise-hf extract` in two processes, as a process group of its own."""
    words = ["extract", source, "--audio-encoder", encoder, "--layers", "1,3", "--out", out, "--shard-rows", "4"]
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "mise_hf.cli", *map(str, words), "--quiet", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Unbuffered, as in most containers: there the lines of two processes can mix.
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )


def ended(process):
    """(status, output, errors); a launch that hangs is killed with all its processes."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail(f"the launch was not over after {SECONDS} s")
    return process.returncode, out, err


@pytest.mark.parametrize("launcher", [TORCHRUN, pytest.param(ACCELERATE, marks=pytest.mark.slow)])
def test_two_processes_give_the_dataset_of_one_and_a_bad_file_stops_neither(
    make_corpus, whisper_dir, tmp_path, launcher
):
    prepared = make_corpus(np.linspace(0.2, 1.5, 18).tolist())
    # In the first shard of the second process, which has 8 rows in all and is done first.
    (tmp_path / "noise" / "005.wav").write_bytes(b"oops")
    extract(prepared, tmp_path / "one", load_audio_encoder(str(whisper_dir), (1, 3)), shard_rows=4, progress=False)
    status, out, err = ended(start(launcher, prepared, tmp_path / "two", whisper_dir))
    assert status == 1 and err.count("1 rows were rejected") == 1 and "rejected.jsonl" in err
    assert sorted(int(line.split()[0]) for line in out.splitlines() if " rows, " in line) == [8, 10]
    one, two = FeatureTable.from_folder(tmp_path / "one"), FeatureTable.from_folder(tmp_path / "two")
    assert one.ids.tolist() == two.ids.tolist() and len(one) == 17 and one.fingerprint == two.fingerprint
    np.testing.assert_allclose(
        one.audio_states.astype(np.float32), two.audio_states.astype(np.float32), atol=2e-3, rtol=2e-3
    )
    assert names(tmp_path / "one") == names(tmp_path / "two")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Two processes without a launcher that would end the one when the other ends, as srun starts them.
PAIR = """
import os, subprocess, sys
from torch.distributed import TCPStore
store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
          "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
pair = [
    subprocess.Popen([sys.executable, *sys.argv[1:]],
                     env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
    for rank in (0, 1)
]
print([process.wait() for process in pair])
"""


def test_one_process_that_fails_does_not_hang_the_other_and_the_next_run_goes_on(make_corpus, whisper_dir, tmp_path):
    prepared = make_corpus([0.3] * 16)
    good = (tmp_path / "noise" / "005.wav").read_bytes()
    (tmp_path / "noise" / "005.wav").write_bytes(b"oops")
    status, out, err = ended(start(("-c", PAIR), prepared, tmp_path / "f", whisper_dir, "--strict"))
    assert status == 0 and out.splitlines()[-1] == "[1, 1]", err
    assert "005.wav' does not decode" in err and "another of the 2 processes ended early" in err
    assert "Traceback" not in err
    (tmp_path / "noise" / "005.wav").write_bytes(good)
    result = extract(prepared, tmp_path / "f", load_audio_encoder(str(whisper_dir), (1, 3)), shard_rows=4)
    assert result.complete and result.rows < 16 and len(FeatureTable.from_folder(tmp_path / "f")) == 16


@pytest.mark.slow
def test_a_folder_of_something_else_ends_both_processes(make_corpus, whisper_dir, tmp_path):
    prepared = make_corpus([0.3] * 8)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "thesis.txt").write_text("x")
    _, out, err = ended(start(("-c", PAIR), prepared, tmp_path / "f", whisper_dir))
    assert out.splitlines()[-1] == "[1, 1]" and "is not empty and holds no extraction" in err
    assert names(tmp_path / "f") == ["thesis.txt"]
