"""Killed at any point, a run ends bit-equal to an undisturbed one; stopped politely, it saves first."""

import json
import random

import pytest
import torch
from runs import process, run_jobs, two_processes
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mise_hf.training import aligner, classifier, generator
from mise_hf.training.arguments import AlignerArguments
from mise_hf.training.run_folder import open_run

MODULES = {"aligner": aligner, "generator": generator, "classifier": classifier}
STEPS = 9
COMMON = ["--steps", str(STEPS), "--batch_size", "32", "--save_every", "2", "--exclude_speakers", "11", "13"]
PLACES = ("unlogged", "logged", "torn", "draft")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed run of each training."""
    folder = tmp_path_factory.mktemp("whole")
    for name, module in MODULES.items():
        module.main([*COMMON, "--output_dir", str(folder / name)])
    return folder


def require_equal(first, second):
    """Weights, metrics and trackers of two run folders are the same to the last bit, each step noted once."""
    one, two = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]), name
    assert (first / "metrics.jsonl").read_text() == (second / "metrics.jsonl").read_text()
    metrics = [json.loads(line) for line in (second / "metrics.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(second / "tensorboard")).Reload()
    for name in events.Tags()["scalars"]:
        seen = [(event.step, event.value) for event in events.Scalars(name)]
        wanted = [(line["step"], pytest.approx(line[name])) for line in metrics if name in line]
        assert seen == wanted, name
    assert set(events.Tags()["scalars"]) == {name for line in metrics for name in line} - {"step"}


def kill_and_go_on(kills, folder, whole):
    """`kills`: for each run its training, then where it is killed, and where again when it goes on."""
    runs = [(name, folder / f"{number}-{name}", places) for number, (name, *places) in enumerate(kills)]
    jobs = [
        [process(name, [*COMMON, "--output_dir", str(run)], die=place)]
        for name, run, places in runs
        for place in places
    ]
    for (one,) in run_jobs(folder, jobs):
        assert one["status"] == -9, one
    for name, run, _ in runs:
        assert not (run / "model.safetensors").exists()
        MODULES[name].main([*COMMON, "--output_dir", str(run)])
        require_equal(whole / name, run)


def test_killed_at_a_random_step_each_training_goes_on_bit_exactly(tmp_path, whole):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    kills = [(name, (rng.randrange(STEPS), rng.choice(PLACES))) for name in MODULES]
    # Twice within moments: event files carry the second in their names.
    kills[1] = (*kills[1], (STEPS - 1, "logged"))
    print(kills)
    kill_and_go_on(kills, tmp_path, whole)


@pytest.mark.slow
def test_twenty_kills_of_each_training(tmp_path, whole):
    rng = random.Random(0)
    kills = [
        (name, *sorted((rng.randrange(STEPS), rng.choice(PLACES)) for _ in range(rng.randint(1, 3))))
        for name in MODULES
        for _ in range(20)
    ]
    kill_and_go_on(kills, tmp_path, whole)


def test_stopped_politely_a_run_saves_and_goes_on(tmp_path, whole):
    """SIGTERM and Ctrl-C in one process; SIGTERM to the second of two processes, which both leave."""
    argv = [*COMMON, "--save_every", "100"]
    runs = {name: tmp_path / name for name in ("SIGTERM", "SIGINT", "two")}
    pair = two_processes(tmp_path, "generator", [*argv, "--output_dir", str(runs["two"])])
    pair[1]["die"] = [4, "SIGTERM"]
    jobs = [
        [process("generator", [*argv, "--output_dir", str(runs[kind])], die=[4, kind])]
        for kind in ("SIGTERM", "SIGINT")
    ]
    results = run_jobs(tmp_path, [*jobs, pair])
    assert [[one["status"] for one in job] for job in results] == [[143], [130], [143, 143]], results
    assert "stopped by signal 15 after 5 steps and saved" in results[0][0]["output"]
    for name, run in runs.items():
        assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000005"]
        generator.main([*argv, "--output_dir", str(run)])
        if name != "two":
            require_equal(whole / "generator", run)
        assert len((run / "metrics.jsonl").read_text().splitlines()) == STEPS


def test_a_broken_checkpoint_is_skipped_and_the_one_before_used(tmp_path, whole, capsys):
    run = tmp_path / "run"
    run_jobs(tmp_path, [[process("generator", [*COMMON, "--output_dir", str(run)], die=[7, "logged"])]])
    first, second = sorted((run / "checkpoints").iterdir())
    assert (first.name, second.name) == ("step-00000004", "step-00000006")
    content = bytearray((second / "state.pt").read_bytes())
    # One bit in the middle of the weights: the file still loads, and only its hash tells.
    content[len(content) // 2] ^= 1
    (second / "state.pt").write_bytes(content)
    generator.main([*COMMON, "--output_dir", str(run)])
    assert "checkpoint step-00000006 has" in capsys.readouterr().out
    require_equal(whole / "generator", run)


def test_two_processes_that_know_nothing_of_each_other_do_not_share_a_folder(tmp_path):
    run = tmp_path / "run"
    argv = [*COMMON, "--output_dir", str(run)]
    (job,) = run_jobs(tmp_path, [[process("aligner", argv), process("aligner", argv)]])
    assert sorted(one["status"] for one in job) == [0, 1], job
    loser = next(one for one in job if one["status"] == 1)
    # Whether it came while the other was training or when that was done.
    assert "another process trains in" in loser["output"] or "already holds a run" in loser["output"]
    assert len((run / "metrics.jsonl").read_text().splitlines()) == STEPS
    arguments = AlignerArguments(output_dir=str(tmp_path / "held"))
    with (
        open_run(arguments, "data"),
        pytest.raises(ValueError, match="another process trains in"),
        open_run(arguments, "data"),
    ):
        pass
    with open_run(arguments, "data"):
        pass


def test_a_changed_configuration_is_refused_with_the_difference(tmp_path):
    arguments = AlignerArguments(output_dir=str(tmp_path / "run"))
    with open_run(arguments, "data"):
        pass
    changed = AlignerArguments(output_dir=str(tmp_path / "run"), learning_rate=0.5, save_every=7)
    listed = r"\(learning_rate was 0.001, is 0.5; data was 'data', is 'other'\)"
    with pytest.raises(ValueError, match=listed), open_run(changed, "other"):
        pass
