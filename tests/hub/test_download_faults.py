"""Faults on the way down: a clear error, a cache that still works, and no wrong weights taken for right ones."""

import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import snapshot_download
from isolated import python
from loopback import READER, WRITER, Fault
from transformers import AutoModel

from mise_hf import MiseGenerator
from mise_hf.hub.checks import verify_repo
from mise_hf.hub.publish import publish
from mise_hf.hub.results import read_results
from mise_hf.hub.staging import Statement, stage_model

WEIGHTS = "model.safetensors"


@pytest.fixture
def served(client, run_folder, tmp_path):
    results = read_results(run_folder / "results.json")
    for name, private in (("org/gen", False), ("org/secret", True)):
        out = tmp_path / name
        out.mkdir(parents=True)
        stage_model(run_folder / "generator", out, name, results, Statement("yes"))
        publish(out, name, private=private, wait_seconds=0.01)
    client.requests.clear()
    return client


@pytest.fixture
def expected(run_folder):
    return MiseGenerator.from_pretrained(run_folder / "generator").state_dict()


def assert_loads(expected, **options):
    state = AutoModel.from_pretrained("org/gen", **options).state_dict()
    assert set(state) == set(expected) and all(torch.equal(value, expected[name]) for name, value in state.items())


def test_private_and_missing_repositories_say_so(served, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", READER)
    AutoModel.from_pretrained("org/secret")
    monkeypatch.delenv("HF_TOKEN")
    served.repos["models/org/hidden"] = served.repos["models/org/secret"]
    with pytest.raises(OSError, match=r"(?s)org/hidden.*(private|token|access)"):
        AutoModel.from_pretrained("org/hidden")
    with pytest.raises(OSError, match=r"(?s)org/nowhere.*not a"):
        AutoModel.from_pretrained("org/nowhere")
    with pytest.raises(OSError, match="v9"):
        AutoModel.from_pretrained("org/gen", revision="v9")


@pytest.mark.parametrize("action", ["drop", 503, 429, "truncate"])
def test_a_passing_fault_does_not_spoil_the_cache(served, expected, action):
    served.faults.append(Fault("GET", WEIGHTS, action))
    try:
        assert_loads(expected)
    except OSError as error:
        assert "org/gen" in str(error) or "size" in str(error) or "Consistency" in str(error)
        assert_loads(expected)
    assert not served.faults[0].times
    verify_repo("org/gen")


def test_changed_bytes_of_the_right_length_are_found_by_the_manifest(served, expected):
    served.faults.append(Fault("GET", WEIGHTS, "corrupt"))
    with pytest.raises(ValueError, match=rf"{WEIGHTS} has another SHA-256.*force_download=True"):
        verify_repo("org/gen")
    assert_loads(expected, force_download=True)
    verify_repo("org/gen")


@pytest.mark.parametrize("kept", [0, 5, 300, -100])
def test_a_half_written_cache_is_refused_and_mended(served, expected, kept):
    weights = Path(snapshot_download("org/gen")) / WEIGHTS
    weights.resolve().write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"no whole safetensors file.*force_download=True"):
        AutoModel.from_pretrained("org/gen")
    with pytest.raises(ValueError, match=f"{WEIGHTS} has another SHA-256"):
        verify_repo("org/gen")
    assert_loads(expected, force_download=True)


def test_a_download_that_was_cut_off_leaves_rubbish_that_harms_nobody(served, expected):
    weights = (Path(snapshot_download("org/gen")) / WEIGHTS).resolve()
    weights.with_name(f"{weights.name}.deadbeef.incomplete").write_bytes(weights.read_bytes()[:1000])
    for path in (Path(snapshot_download("org/gen")) / WEIGHTS, weights):
        path.unlink()
    assert_loads(expected)


def test_a_full_disk_says_so_and_leaves_no_half_file(served, tmp_path):
    """The kernel refuses to let files grow, as a full disk does; in a process of its own, since nothing else could."""
    code = """
import mise_hf, resource, signal
from transformers import AutoModel
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
AutoModel.from_pretrained("org/gen")
"""
    home = tmp_path / "home"
    done = python(code, served.url, home)
    assert done.returncode != 0 and "OSError" in done.stderr and "File too large" in done.stderr
    assert not [path for path in home.rglob("*") if path.is_file() and path.stat().st_size > 39_000]


def test_a_full_disk_while_publishing_sends_nothing(hub, run_folder, tmp_path):
    code = f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
from mise_hf.cli import main
sys.argv = ["mise-hf", "publish", {str(run_folder)!r}, "--repo", "org/mise", "--redistribution", "yes"]
sys.exit(main())
"""
    done = python(code, hub.url, tmp_path / "home", token=WRITER)
    assert done.returncode == 1 and "File too large" in done.stderr and "nothing was sent" in done.stderr
    assert "Traceback" not in done.stderr and not hub.requests


def test_pickled_weights_are_never_read(served, run_folder, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(run_folder / "generator", folder)
    model = MiseGenerator.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    for options in ({}, {"use_safetensors": False}):
        with pytest.raises((OSError, ValueError), match=r"model\.safetensors|pickled weights are never loaded"):
            MiseGenerator.from_pretrained(folder, **options)
