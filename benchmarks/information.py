"""Known mutual information, our estimate and the peers' beside it, in one run: `python benchmarks/information.py`.

    --seeds 5 --peer-seeds 1 --rows 4000 --tasks pair_2,label_gmm --no-peers --jobs 1
    --out runs.jsonl --markdown table.md

torch-mist is used when it is installed (`pip install torch-mist`) and said to be absent otherwise; scikit-learn and KSG
always. One thread a task; CPU seconds are those of the process. A miss of a goal is printed as MISS. With `--out`, what
was measured is kept, and a second run with the same file goes on from there.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from known_joint import joint_tasks
from known_labels import label_tasks
from known_vectors import vector_tasks
from peers import label_peers, vector_peers
from records import OURS, Record, Records, digest
from threadpoolctl import threadpool_limits

from mise_hf.metrics import joint_information, label_information, vector_information

# Goals of the issue for the bias, in nats; a task without one is a case of our own.
GOALS = {
    "label_gmm": 0.05, "label_null": 0.01, "pair_2": 0.07, "pair_5": 0.20, "pair_0": 0.02, "pair_2s": 0.50,
    "normal_1x1": 0.02, "normal_cdf_1x1": 0.02, "half_cube_1x1": 0.02, "bimodal_1x1": 0.02, "dense_5x5": 0.05,
    "dense_25x25": 0.05, "sparse_25x25": 0.10, "student_1x1": 0.10, "asinh_student_3x3": 0.10, "uniform_4": 0.03,
    "uniform_8": 0.03, "joint_text": 0.10, "joint_null_text": 0.10, "joint_opposed": 0.10, "joint_turned": 0.10,
}  # fmt: skip
MOST_SPREAD = {"label_gmm": 0.02}
MOST_SECONDS = {"label_gmm": 1.0, "pair_2": 3.0}
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


def row(name: str, rows: int, seeds: int, peer_seeds: int, out: str | None, code: str) -> dict[str, Any]:
    """One line of the table; no peers for `peer_seeds` = 0."""
    torch.set_num_threads(1)
    with threadpool_limits(limits=1):
        tasks, ours, peers = next(group for group in groups() if name in group[0])
        task, records = tasks[name], Records(out)

        def measured(estimate: Any, label: str, count: int) -> list[Record]:
            seen = range(FIRST_SEED, FIRST_SEED + count)
            return [records.get(estimate, task.draw, name, rows, seed, label, code) for seed in seen]

        found = measured(ours, OURS, seeds)
        others = {peer: measured(estimate, peer, peer_seeds) for peer, estimate in peers.items() if peer_seeds}
    raws = np.array([f.value for f in found])
    inside = [f.interval is not None and f.interval[0] <= task.truth <= f.interval[1] for f in found]
    return {
        "task": name, "truth": task.truth, "bias": float(raws.mean() - task.truth), "std": float(raws.std()),
        "goal": GOALS.get(name), "coverage": float(np.mean(inside)), "seconds": np.mean([f.seconds for f in found]),
        "flags": sorted({flag for f in found for flag in f.flags}),
        "peers": {peer: peer_cell(seen, task.truth) for peer, seen in others.items()},
    }  # fmt: skip


def peer_cell(records: list[Record], truth: float) -> str:
    """bias +- std (CPU seconds) of a peer, or why it has none."""
    failures = [r.failure for r in records if r.value is None]
    if failures:
        return f"failed: {failures[0]}"
    gap = np.array([r.value for r in records]) - truth
    return f"{gap.mean():+.2f} +- {gap.std():.2f} ({np.mean([r.seconds for r in records]):.1f})"


def misses(line: dict[str, Any]) -> list[str]:
    """Which of the issue's goals the line does not meet."""
    name = line["task"]
    over = {
        "bias": line["goal"] is not None and abs(line["bias"]) > line["goal"],
        "std": line["std"] > MOST_SPREAD.get(name, np.inf),
        "CPU s": line["seconds"] > MOST_SECONDS.get(name, np.inf),
    }
    return [what for what, missed in over.items() if missed]


def cells(line: dict[str, Any]) -> tuple[str, ...]:
    """The line as the table has it, in the order of COLUMNS."""
    goal = line["goal"]
    missed = misses(line)
    verdict = f"MISS ({', '.join(missed)})" if missed else ("" if goal is None else "ok")
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
    return f"Python {platform.python_version()}, {', '.join(names)}; {processor()}, {os.cpu_count()} cores, shared"


def processor() -> str:
    """The processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def footing(lines: list[dict[str, Any]]) -> list[str]:
    """Goals met and missed, coverage, flags."""
    goals = [line for line in lines if line["goal"] is not None]
    missed = [line["task"] for line in goals if misses(line)]
    out = [
        f"{len(goals) - len(missed)} of {len(goals)} goals met; missed: {', '.join(missed) or 'none'}",
        f"mean coverage of the 95 % interval: {np.mean([line['coverage'] for line in lines]):.0%} (goal 90 %)",
    ]
    return out + [f"flag on {line['task']}: {'; '.join(line['flags'])}" for line in lines if line["flags"]]


def main() -> None:
    """Runs the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peer-seeds", type=int, default=1, help="data sets the peers see, the first of ours")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--tasks", help="names, comma-separated (default: all)")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--jobs", type=int, default=1, help="tasks at a time, one thread each")
    parser.add_argument("--out", metavar="FILE", help="keep every estimate here (JSON lines), and take it from here")
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
        same = [repeat(value) for value in (args.rows, args.seeds, peer_seeds, args.out, digest())]
        for line in pool.map(row, wanted, *same):
            lines.append(line)
            print(LAYOUT.format(*cells(line)), flush=True)
            if args.markdown:
                # After every line: a run that is cut short leaves what it had.
                Path(args.markdown).write_text(markdown([title, versions(), *notes], lines))
    print("\n" + "\n".join(footing(lines)))


def markdown(notes: list[str], lines: list[dict[str, Any]]) -> str:
    """The table as a page that says how it was made."""
    # Where files were put is no part of what was measured.
    kept = re.sub(r"--(out|markdown) \S+ ?", "", " ".join(sys.argv[1:])).strip()
    command = f"python benchmarks/information.py {kept}".strip()
    out = ["# Known mutual information: ours and the peers'", "", f"`{command}`: {'. '.join(notes)}.", ""]
    out += ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    out += ["| " + " | ".join(cells(line)) + " |" for line in lines]
    return "\n".join([*out, "", *(f"- {note}" for note in footing(lines))]) + "\n"


if __name__ == "__main__":
    main()
