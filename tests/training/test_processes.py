"""Two processes on CPUs against one: the same loss curve, one set of files."""

import json

import pytest
import torch
from runs import process, run_jobs, two_processes
from transformers import AutoModel

from mise_hf.training import generator as generator_module

COMMON = ["--steps", "8", "--batch_size", "32", "--save_every", "3", "--exclude_speakers", "11", "13"]
SMALL = {
    "aligner": ["--projection_size", "8", "--learning_rate", "0.003"],
    # Text, pairs and a bound over pairs: all that is gathered.
    "generator": ["--text", "true", "--paired", "true", "--mi_estimator", "smile", "--hidden_size", "32"],
    "classifier": ["--feature_size", "16", "--hidden_size", "32"],
}


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every training by one process and by two; also by two that cut their share into micro-batches."""
    folder = tmp_path_factory.mktemp("runs")
    maker = folder / "maker"
    generator_module.main([*COMMON, "--feature_size", "16", "--hidden_size", "32", "--output_dir", str(maker)])
    jobs, names = [], []
    for number, (name, more) in enumerate(SMALL.items()):
        argv = [*COMMON, *more, *(["--generator", str(maker)] if name == "classifier" else [])]
        jobs.append([process(name, [*argv, "--output_dir", str(folder / f"one-{name}")])])
        meeting = folder / str(number)
        meeting.mkdir()
        jobs.append(two_processes(meeting, name, [*argv, "--output_dir", str(folder / f"two-{name}")]))
        names += [f"one-{name}", f"two-{name}"]
    (folder / "cut").mkdir()
    argv = [*COMMON, *SMALL["classifier"], "--micro_batches", "4", "--output_dir", str(folder / "cut-classifier")]
    jobs.append(two_processes(folder / "cut", "classifier", [*argv, "--generator", str(maker)]))
    names.append("cut-classifier")
    for name, processes in zip(names, run_jobs(folder, jobs), strict=True):
        assert [one["status"] for one in processes] == [0] * len(processes), (name, processes)
    return folder


@pytest.mark.parametrize("training", list(SMALL))
def test_two_processes_take_the_steps_of_one(runs, training):
    one, two = lines(runs / f"one-{training}"), lines(runs / f"two-{training}")
    assert len(one) == 8 and [set(line) for line in one] == [set(line) for line in two]
    for first, second in zip(one, two, strict=True):
        assert second == pytest.approx(first, abs=1e-4)
    models = (
        [AutoModel.from_pretrained(runs / f"{count}-{training}").state_dict() for count in ("one", "two")]
        if (training != "classifier")
        else []
    )
    for (name, a), (_, b) in zip(*(model.items() for model in models), strict=True) if models else ():
        # Adam's first steps go by the sign of a gradient: one that is zero but for rounding may take either.
        assert (a - b).abs().mean() < 1e-3 * max(1.0, float(a.abs().mean())), name


def test_dropout_masks_and_batches_do_not_depend_on_the_cut(runs):
    for first, second in zip(lines(runs / "one-classifier"), lines(runs / "cut-classifier"), strict=True):
        assert second == pytest.approx(first, abs=1e-4)


def test_only_the_main_process_writes(runs):
    for training in SMALL:
        one, two = ({path.name for path in (runs / f"{n}-{training}").iterdir()} for n in ("one", "two"))
        assert one == two and "model.safetensors" in two
        assert len(list((runs / f"two-{training}" / "tensorboard").iterdir())) == 1
        assert len({line["step"] for line in lines(runs / f"two-{training}")}) == 8


def test_a_batch_that_does_not_divide_is_refused(toy_table):
    from accelerate import Accelerator

    from mise_hf.training.parts import BatchParts

    with pytest.raises(ValueError, match="batch_size is 32; wanted a multiple of 3"):
        BatchParts(32, Accelerator(cpu=True), 3)


def test_masks_are_cut_from_those_of_the_whole_batch():
    from accelerate import Accelerator

    from mise_hf.training.parts import BatchParts, PartDropout

    rows = torch.randn(12, 5)
    parts = BatchParts(12, Accelerator(cpu=True), 3)
    dropout = PartDropout(0.5, parts)
    torch.manual_seed(1)
    whole = torch.nn.functional.dropout(rows, 0.5)
    cut = []
    for part in parts:
        torch.manual_seed(1)
        cut.append(dropout(rows[part]))
    assert torch.equal(torch.cat(cut), whole) and bool((whole == 0).any())
