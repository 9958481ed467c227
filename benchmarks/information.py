"""Known mutual information, our estimate and the peers' beside it, in one run: `python benchmarks/information.py`.

    --seeds 5 --peer-seeds 2 --rows 4000 --tasks pair_2,label_gmm --no-peers --jobs 1 --markdown table.md

torch-mist is used when it is installed (`pip install torch-mist`) and said to be absent otherwise; scikit-learn and KSG
always. One thread a task; CPU seconds are those of the process. A miss of a goal is printed as MISS.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from known_joint import joint_tasks
from known_labels import label_tasks
from known_vectors import vector_tasks
from peers import label_peers, vector_peers
from threadpoolctl import threadpool_limits

from mise_hf.metrics import joint_information, label_information, vector_information

# Goals of the issue, in nats; None: a case of our own without a stated goal.
GOALS = {
    "label_gmm": 0.05, "label_null": 0.01, "pair_2": 0.07, "pair_5": 0.20, "pair_0": 0.02, "pair_2s": 0.50,
    "normal_1x1": 0.02, "normal_cdf_1x1": 0.02, "half_cube_1x1": 0.02, "bimodal_1x1": 0.02, "dense_5x5": 0.05,
    "dense_25x25": 0.05, "sparse_25x25": 0.10, "student_1x1": 0.10, "asinh_student_3x3": 0.10, "uniform_4": 0.03,
    "uniform_8": 0.03, "joint_text": 0.10, "joint_null_text": 0.10, "joint_opposed": 0.10, "joint_turned": 0.10,
}  # fmt: skip
FIRST_SEED = 2000
COLUMNS = ("task", "truth", "bias", "std", "goal", "", "coverage", "CPU s", "peers: bias +- std (CPU s)")
LAYOUT = "{:18s} {:>6s} {:>7s} {:>6s} {:>5s} {:>5s} {:>8s} {:>7s}  {}"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "torch-mist")


@cache
def groups() -> tuple[tuple[dict[str, Any], Any, Any], ...]:
    """Tasks, our estimator and the peers' for labels, vectors and both."""
    return (
        (label_tasks(), label_information, label_peers()),
        (vector_tasks(), vector_information, vector_peers()),
        (joint_tasks(), joint_information, {}),
    )


def measure(estimate: Any, draw: Any, rows: int, seeds: int) -> tuple[list[Any], float]:
    """What `estimate` returns for each seed, and its mean CPU seconds."""
    out, spent = [], 0.0
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        data = draw(rows, seed)
        started = time.process_time()
        out.append(estimate(*data))
        spent += time.process_time() - started
    return out, spent / seeds


def row(name: str, rows: int, seeds: int, peer_seeds: int) -> dict[str, Any]:
    """One line of the table; no peers for `peer_seeds` = 0."""
    torch.set_num_threads(1)
    with threadpool_limits(limits=1):
        tasks, ours, peers = next(group for group in groups() if name in group[0])
        task = tasks[name]
        # Imports and first calls are no part of an estimate's cost.
        ours(*task.draw(200, 0))
        found, seconds = measure(ours, task.draw, rows, seeds)
        raws = np.array([f.raw for f in found])
        inside = np.mean([f.interval[0] <= task.truth <= f.interval[1] for f in found])
        line = {
            "task": name, "truth": task.truth, "bias": float(raws.mean() - task.truth), "std": float(raws.std()),
            "goal": GOALS.get(name), "coverage": float(inside), "seconds": seconds, "method": found[0].method,
            "flags": sorted({flag for f in found for flag in f.flags}), "peers": {},
        }  # fmt: skip
        for peer, estimate in peers.items() if peer_seeds else ():
            try:
                values, peer_seconds = measure(estimate, task.draw, rows, peer_seeds)
            except (ValueError, RuntimeError) as problem:
                line["peers"][peer] = f"failed: {str(problem)[:60]}"
                continue
            gap = np.array(values) - task.truth
            line["peers"][peer] = f"{gap.mean():+.2f} +- {gap.std():.2f} ({peer_seconds:.1f})"
    return line


def cells(line: dict[str, Any]) -> tuple[str, ...]:
    """The line as the table has it, in the order of COLUMNS."""
    goal = line["goal"]
    verdict = "" if goal is None else ("ok" if abs(line["bias"]) <= goal else "MISS")
    return (
        line["task"], f"{line['truth']:.3f}", f"{line['bias']:+.3f}", f"{line['std']:.3f}",
        "" if goal is None else f"{goal:.2f}", verdict, f"{line['coverage']:.0%}", f"{line['seconds']:.2f}",
        "; ".join(f"{name} {value}" for name, value in line["peers"].items()),
    )  # fmt: skip


def versions() -> str:
    """What the table was made with."""
    names = []
    for package in PACKAGES:
        try:
            names.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            names.append(f"{package} not installed")
    return f"Python {platform.python_version()}, {', '.join(names)}; {platform.machine()}, {torch.__version__} on CPU"


def footing(lines: list[dict[str, Any]]) -> list[str]:
    """Goals met and missed, coverage, flags."""
    goals = [line for line in lines if line["goal"] is not None]
    missed = [line["task"] for line in goals if abs(line["bias"]) > line["goal"]]
    out = [
        f"{len(goals) - len(missed)} of {len(goals)} goals met; missed: {', '.join(missed) or 'none'}",
        f"mean coverage of the 95 % interval: {np.mean([line['coverage'] for line in lines]):.0%} (goal 90 %)",
    ]
    return out + [f"flag on {line['task']}: {'; '.join(line['flags'])}" for line in lines if line["flags"]]


def main() -> None:
    """Runs the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peer-seeds", type=int, default=2, help="data sets the peers see, the first of ours")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--tasks", help="names, comma-separated (default: all)")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="tasks at a time, one thread each")
    parser.add_argument("--markdown", metavar="FILE", help="write the table here as well")
    args = parser.parse_args()
    every = [name for tasks, _, _ in groups() for name in tasks]
    wanted = args.tasks.split(",") if args.tasks else every
    unknown = sorted(set(wanted) - set(every))
    if unknown:
        parser.error(f"unknown tasks {unknown}; there are {', '.join(every)}")
    peer_seeds = 0 if args.no_peers else min(args.peer_seeds, args.seeds)
    title = f"n = {args.rows}, {args.seeds} seeds, nats, 1 thread a task; peers over {peer_seeds} seeds"
    absent = importlib.util.find_spec("torch_mist") is None and peer_seeds > 0
    notes = ["torch-mist is not installed (pip install torch-mist): its columns are absent"] if absent else []
    print("\n".join([title, versions(), *notes, "", LAYOUT.format(*COLUMNS)]), flush=True)
    lines = []
    with ProcessPoolExecutor(args.jobs) as pool:
        count = len(wanted)
        for line in pool.map(row, wanted, [args.rows] * count, [args.seeds] * count, [peer_seeds] * count):
            lines.append(line)
            print(LAYOUT.format(*cells(line)), flush=True)
            if args.markdown:
                # After every line: a run that is cut short leaves what it had.
                Path(args.markdown).write_text(markdown([title, versions(), *notes], lines, args.markdown))
    print("\n" + "\n".join(footing(lines)))


def markdown(notes: list[str], lines: list[dict[str, Any]], path: str) -> str:
    """The table as a page that says how it was made."""
    command = f"python benchmarks/information.py {' '.join(sys.argv[1:])}".replace(f" --markdown {path}", "")
    out = ["# Known mutual information: ours and the peers'", "", f"`{command}`: {'. '.join(notes)}.", ""]
    out += ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    out += ["| " + " | ".join(cells(line)) + " |" for line in lines]
    return "\n".join([*out, "", *(f"- {note}" for note in footing(lines))]) + "\n"


if __name__ == "__main__":
    main()
