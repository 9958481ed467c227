"""Checkpoints saved today load with the oldest transformers that is declared and with the newest on the index."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from isolated import python

from mise_hf import MiseGenerator

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def declared() -> tuple[str, str]:
    """(floor, cap) of transformers."""
    dependencies = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    found = re.fullmatch(
        r"transformers>=([\d.]+),<(\d+)", next(d for d in dependencies if d.startswith("transformers"))
    )
    assert found is not None
    return found[1], found[2]


@pytest.mark.slow
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_todays_checkpoints_load(run_folder, bare_python, tmp_path, which):
    floor, cap = declared()
    wanted = f"transformers~={floor}.0" if which == "oldest" else f"transformers<{cap}"
    library = tmp_path / "library"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(library), wanted]
    subprocess.run(install, check=True, timeout=300)
    code = f"""
import json, sys
sys.path.insert(0, {str(library)!r})
import torch, transformers
from transformers import AutoModel, AutoModelForAudioClassification
assert transformers.__file__.startswith({str(library)!r})
run = {str(run_folder)!r}
generator = AutoModel.from_pretrained(run + "/generator", trust_remote_code=True)
ser = AutoModelForAudioClassification.from_pretrained(run + "/ser", trust_remote_code=True)
AutoModel.from_pretrained(run + "/aligner", trust_remote_code=True)
assert ser(audio_states=torch.ones(1, 1024)).logits.shape == (1, 7)
made = generator.generate(["anger"], generator=torch.Generator().manual_seed(0)).features.tolist()
print(json.dumps([transformers.__version__, made]))
"""
    done = python(code, "http://127.0.0.1:9", tmp_path / "home", interpreter=bare_python, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr[-2000:]
    version, made = json.loads(done.stdout.splitlines()[-1])
    assert which == "newest" or version.startswith(f"{floor}.")
    local = MiseGenerator.from_pretrained(run_folder / "generator")
    expected = local.generate(["anger"], generator=torch.Generator().manual_seed(0)).features
    torch.testing.assert_close(torch.tensor(made), expected)
