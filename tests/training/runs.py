"""Trainings in processes of their own, forked from one that has imported everything: importing is what takes long.

Run as `python tests/training/runs.py JOBS.json`: each job is a list of processes, run together, and each process has
`training` (a module's name), `argv`, `environment`, and where to `die`: [step, place]. Jobs follow one another.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

TESTS = Path(__file__).parents[1]


def run_jobs(folder: Path, jobs: list[list[dict]]) -> list[list[dict]]:
    """Run jobs; returns for each process its exit status (minus the signal that ended it) and what it printed."""
    described = folder / "jobs.json"
    described.write_text(json.dumps(jobs), encoding="utf-8")
    # As many threads as the tests have: sums round differently with another number.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, os.fspath(described)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def process(training: str, argv: list[str], **more) -> dict:
    """One process of a job."""
    return {"training": training, "argv": argv, "environment": {}, "die": None, **more}


def two_processes(folder: Path, training: str, argv: list[str]) -> list[dict]:
    """A job of two processes that train together, as torchrun starts them."""
    meeting = f"file://{folder / 'meeting'}"
    return [
        process(
            training,
            argv,
            meeting=meeting,
            environment={"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]


def _main(described: str) -> None:
    import torch

    from mise_hf.training import aligner, classifier, generator

    torch.set_num_threads(1)
    modules = {"aligner": aligner, "generator": generator, "classifier": classifier}
    results = []
    for job in json.loads(Path(described).read_text(encoding="utf-8")):
        started = []
        for number, one in enumerate(job):
            output = Path(described).with_name(f"output-{len(results)}-{number}.txt")
            child = os.fork()
            if not child:
                _become(one, modules, output)
            started.append((child, output))
        results.append(
            [
                {"status": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "output": output.read_text()}
                for child, output in started
            ]
        )
    print(json.dumps(results))


def _become(one: dict, modules: dict, output: Path) -> None:
    status = 1
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            os.environ.update(one["environment"])
            if "meeting" in one:
                _meet(one)
            if one["die"]:
                _die_at(*one["die"])
            modules[one["training"]].main(one["argv"])
            status = 0
        except SystemExit as error:
            status = error.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


def _meet(one: dict) -> None:
    """Find the other processes through a file: a free port might be taken between asking and using it."""
    import torch

    environment = one["environment"]
    torch.distributed.init_process_group(
        "gloo", init_method=one["meeting"], rank=int(environment["RANK"]), world_size=int(environment["WORLD_SIZE"])
    )


def _die_at(number: int, place: str) -> None:
    """Arrange for a signal to this process around optimiser step `number`."""
    from mise_hf.training import checkpoints, loop, trackers

    def kill(signal_number: int = signal.SIGKILL) -> None:
        os.kill(os.getpid(), signal_number)

    if place == "draft":
        # Between writing a checkpoint and giving it its name.
        checkpoints.Path.rename = lambda *_: kill()
        return
    log = trackers.Trackers.log

    def logging(self, step: int, metrics: dict) -> None:
        if step == number and place == "unlogged":
            kill()
        log(self, step, metrics)
        if step == number and place == "torn":
            # As when the system writes half a line before the power fails.
            self.lines.write('{"step": ')
            self.flush()
            kill()
        if step == number and place == "logged":
            kill()
        if step == number and place in ("SIGTERM", "SIGINT"):
            kill(getattr(signal, place))

    loop.Trackers.log = logging


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stdout):
        _main(sys.argv[1])
