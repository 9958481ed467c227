"""All three trainings on a GPU in bfloat16; the same rows and draws as on a CPU, so nearly the same first losses."""

import json

import pytest
import torch

from mise_hf.training import aligner, classifier, generator

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
COMMON = ["--steps", "20", "--batch_size", "64", "--save_every", "8", "--exclude_speakers", "11", "13"]


@pytest.mark.parametrize("training", [aligner, generator, classifier])
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_a_training_runs_on_the_gpu_and_goes_on(training, precision, tmp_path, monkeypatch):
    argv = [*COMMON, "--mixed_precision", precision, "--dropout", "0"]
    argv = argv[:-2] if training is generator else argv
    training.main([*argv, "--output_dir", str(tmp_path / "gpu")])
    seen = [json.loads(line) for line in (tmp_path / "gpu" / "metrics.jsonl").read_text().splitlines()]
    assert len(seen) == 20 and (tmp_path / "gpu" / "model.safetensors").is_file()
    # On the CPU, from the same start: the first step is the same but for rounding.
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    training.main([*argv, "--output_dir", str(tmp_path / "cpu")])
    AcceleratorState._reset_state(reset_partial_state=True)
    first = json.loads((tmp_path / "cpu" / "metrics.jsonl").read_text().splitlines()[0])
    assert seen[0] == pytest.approx(first, rel=0.05, abs=0.05)
