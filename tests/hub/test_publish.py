"""`mise-hf publish` through the real client: what arrives, what is refused, and what a fault leaves behind."""

import json

import pytest
from isolated import mise_hf
from loopback import READER, WRITER, Fault


@pytest.fixture(scope="module")
def arguments(run_folder):
    return [str(run_folder), "--repo", "org/mise", "--redistribution", "yes"]


def test_a_run_arrives_whole(hub, run_folder, tmp_path, arguments):
    done = mise_hf(arguments, hub.url, tmp_path, WRITER)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    for name in ("aligner", "generator", "ser"):
        files = hub.repos[f"models/org/mise-{name}"].files("main")[1]
        assert {"config.json", "model.safetensors", "README.md", "results.json", "training_config.json"} <= set(files)
    print(files.keys())
    print(hub.repos["models/org/mise-generator"].files("main")[1]["README.md"].decode())
