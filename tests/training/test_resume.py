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


def random_kills(seed: int, rounds: int) -> list[tuple]:
    """For each training `rounds` runs: its name, and where it is killed, and where again when it goes on."""
    rng = random.Random(seed)
    return [
        (name, *sorted((rng.randrange(STEPS), rng.choice(PLACES)) for _ in range(1 + (name == "generator"))))
        for name in MODULES
        for _ in range(rounds)
    ]


def killed_runs(kills, folder):
    """Jobs of the kills, and for each run its training and folder."""
    runs = [(name, folder / f"{number}-{name}", places) for number, (name, *places) in enumerate(kills)]
    jobs = [
        [process(name, [*COMMON, "--output_dir", str(run)], die=place)]
        for name, run, places in runs
        for place in places
    ]
    return jobs, [(name, run) for name, run, _ in runs]


def require_that_killed_runs_go_on(results, runs, whole):
    for (one,) in results:
        assert one["status"] == -9, one
    for name, run in runs:
        assert not (run / "model.safetensors").exists()
        MODULES[name].main([*COMMON, "--output_dir", str(run)])
        require_equal(whole / name, run)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Runs that ended early, each in its way, by one process that has imported everything: results by the way."""
    folder = tmp_path_factory.mktemp("ended")
    seed = random.SystemRandom().randrange(10**6)
    kills, runs = killed_runs(random_kills(seed, 1), folder)
    jobs = {f"kill {number}": job for number, job in enumerate(kills)}
    rarely = [*COMMON, "--save_every", "100"]
    for kind in ("SIGTERM", "SIGINT"):
        jobs[kind] = [process("generator", [*rarely, "--output_dir", str(folder / kind)], die=[4, kind])]
    jobs["two"] = two_processes(folder, "generator", [*rarely, "--output_dir", str(folder / "two")])
    jobs["two"][1]["die"] = [4, "SIGTERM"]
    jobs["broken"] = [process("generator", [*COMMON, "--output_dir", str(folder / "broken")], die=[7, "logged"])]
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.tex").write_text("years of work")
    (folder / "refused").mkdir()
    jobs["refused"] = two_processes(folder / "refused", "aligner", [*COMMON, "--output_dir", str(folder / "mine")])
    jobs["rivals"] = [process("aligner", [*COMMON, "--output_dir", str(folder / "rivals")]) for _ in range(2)]
    results = dict(zip(jobs, run_jobs(folder, list(jobs.values())), strict=True))
    return {"folder": folder, "seed": seed, "runs": runs, **results}


def test_killed_at_a_random_step_each_training_goes_on_bit_exactly(ended, whole):
    """The generator twice within moments: event files carry the second of their start in their names."""
    print(f"seed {ended['seed']}: {random_kills(ended['seed'], 1)}")
    kills = [result for name, result in ended.items() if name.startswith("kill")]
    require_that_killed_runs_go_on(kills, ended["runs"], whole)


@pytest.mark.slow
def test_twenty_kills_of_each_training(tmp_path, whole):
    jobs, runs = killed_runs(random_kills(0, 20), tmp_path)
    require_that_killed_runs_go_on(run_jobs(tmp_path, jobs), runs, whole)


def test_stopped_politely_a_run_saves_and_goes_on(ended, whole):
    """SIGTERM and Ctrl-C in one process; SIGTERM to the second of two processes, which both leave."""
    for way, statuses in (("SIGTERM", [143]), ("SIGINT", [130]), ("two", [143, 143])):
        assert [one["status"] for one in ended[way]] == statuses, ended[way]
        run = ended["folder"] / way
        assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000005"]
        generator.main([*COMMON, "--save_every", "100", "--output_dir", str(run)])
        assert len((run / "metrics.jsonl").read_text().splitlines()) == STEPS
        if way != "two":
            require_equal(whole / "generator", run)
    assert "stopped by signal 15 after 5 steps and saved" in ended["SIGTERM"][0]["output"]


def test_a_broken_checkpoint_is_skipped_and_the_one_before_used(ended, whole, capsys):
    run = ended["folder"] / "broken"
    first, second = sorted((run / "checkpoints").iterdir())
    assert (first.name, second.name) == ("step-00000004", "step-00000006")
    content = bytearray((second / "state.pt").read_bytes())
    # One bit in the middle of the weights: the file still loads, and only its hash tells.
    content[len(content) // 2] ^= 1
    (second / "state.pt").write_bytes(content)
    generator.main([*COMMON, "--output_dir", str(run)])
    assert "checkpoint step-00000006 has" in capsys.readouterr().out
    # Set aside, and its number written anew.
    assert {"broken-step-00000006", "step-00000006"} <= {path.name for path in (run / "checkpoints").iterdir()}
    require_equal(whole / "generator", run)


def test_two_processes_that_know_nothing_of_each_other_do_not_share_a_folder(ended, tmp_path):
    assert sorted(one["status"] for one in ended["rivals"]) == [0, 1], ended["rivals"]
    loser = next(one for one in ended["rivals"] if one["status"] == 1)
    # Whether it came while the other was training or when that was done.
    assert "another process trains in" in loser["output"] or "already holds a run" in loser["output"]
    assert len((ended["folder"] / "rivals" / "metrics.jsonl").read_text().splitlines()) == STEPS
    arguments = AlignerArguments(output_dir=str(tmp_path / "held"))
    with (
        open_run(arguments, "data"),
        pytest.raises(ValueError, match="another process trains in"),
        open_run(arguments, "data"),
    ):
        pass
    with open_run(arguments, "data"):
        pass


def test_what_the_main_process_refuses_every_process_refuses(ended):
    """Or the others would wait for it for ever."""
    assert [one["status"] for one in ended["refused"]] == [1, 1]
    assert all("no run of ours" in one["output"] for one in ended["refused"])


def test_a_changed_configuration_is_refused_with_the_difference(tmp_path):
    arguments = AlignerArguments(output_dir=str(tmp_path / "run"))
    with open_run(arguments, "data"):
        pass
    changed = AlignerArguments(output_dir=str(tmp_path / "run"), learning_rate=0.5, save_every=7)
    listed = r"\(learning_rate was 0.001, is 0.5; data was 'data', is 'other'\)"
    with pytest.raises(ValueError, match=listed), open_run(changed, "other"):
        pass
