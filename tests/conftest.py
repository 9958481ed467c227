"""Tiny models and tables made in code, and the shared folder that stands in for the Hub."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from toy_corpus import LABELS, make_table

from mise_hf.features import FeatureTable
from mise_hf.models.configuration_mise import MiseGeneratorConfig
from mise_hf.models.modeling_mise_generator import MiseGenerator

# One thread: more only get in each other's way on layers this small.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    path = Path(__file__).parents[2] / "shared"
    if not path.is_dir():
        message = f"{path.name}/ (corpora and encoders) is not beside the project"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{message}; in CI it must be")
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def clips_dir() -> Path:
    """Twenty clips of EmoDB that the repository carries."""
    return Path(__file__).parent / "data" / "emodb"


@dataclass(frozen=True)
class DemoRun:
    """The folder that `mise-hf demo` left, and its print."""

    folder: Path
    printed: str


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory) -> DemoRun:
    """`mise-hf demo` as a user runs it, once for all tests: minutes. They read it and never write into it."""
    folder = tmp_path_factory.mktemp("runs") / "demo"
    command = [sys.executable, "-m", "mise_hf.cli", "demo", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return DemoRun(folder, done.stdout)


@pytest.fixture
def tiny_generator() -> MiseGenerator:
    """Audio features of 6 dimensions with a text feature of 4, conditioned on text of 4."""
    torch.manual_seed(0)
    config = MiseGeneratorConfig(
        feature_size=6,
        noise_size=10,
        text_size=4,
        paired_text_size=4,
        hidden_size=16,
        state_size=10,
        state_layers=[1],
        id2label=dict(enumerate(LABELS)),
        feature_fingerprint={"pooling": "mean+std", "audio_layers": [1, 2], "sampling_rate": 16000},
    )
    generator = MiseGenerator(config)
    rows = torch.randn(60, 10)
    generator.start_from(rows, torch.arange(60) % 3)
    generator.space.fit(torch.randn(60, 10))
    return generator.eval()


@pytest.fixture
def toy_table() -> FeatureTable:
    return make_table()
