"""Known mutual information, our estimate and the peers' beside it, in one run: `python benchmarks/information.py`.

    --seeds 5 --rows 4000 --tasks pair_2,label_gmm --no-peers --json results.json

torch-mist is used when it is installed (`pip install torch-mist`); scikit-learn and KSG always. One thread. A miss of
the goal is printed as MISS.
"""

from __future__ import annotations

import argparse
import json
import time
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
    "uniform_8": 0.03, "joint_text": 0.10, "joint_null_text": 0.10,
}  # fmt: skip
FIRST_SEED = 2000


def measure(estimate: Any, draw: Any, rows: int, seeds: int) -> tuple[list[Any], float]:
    """What `estimate` returns for each seed, and its mean CPU seconds."""
    out, spent = [], 0.0
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        data = draw(rows, seed)
        started = time.process_time()
        out.append(estimate(*data))
        spent += time.process_time() - started
    return out, spent / seeds


def row(name: str, task: Any, ours: Any, peers: dict[str, Any], rows: int, seeds: int) -> dict[str, Any]:
    """One line of the table."""
    found, seconds = measure(ours, task.draw, rows, seeds)
    raws = np.array([f.raw for f in found])
    inside = np.mean([f.interval[0] <= task.truth <= f.interval[1] for f in found])
    line = {
        "task": name, "truth": task.truth, "bias": float(raws.mean() - task.truth), "std": float(raws.std()),
        "goal": GOALS.get(name), "coverage": float(inside), "seconds": seconds, "method": found[0].method,
        "flags": sorted({flag for f in found for flag in f.flags}), "peers": {},
    }  # fmt: skip
    for peer, estimate in peers.items():
        try:
            values, peer_seconds = measure(estimate, task.draw, rows, min(seeds, 2))
        except (ValueError, RuntimeError) as problem:
            line["peers"][peer] = f"failed: {str(problem)[:60]}"
            continue
        line["peers"][peer] = (float(np.mean(values) - task.truth), peer_seconds)
    return line


def show(line: dict[str, Any]) -> None:
    """Prints one line."""
    goal = line["goal"]
    verdict = "" if goal is None else ("ok" if abs(line["bias"]) <= goal else "MISS")
    wanted = "" if goal is None else f"{goal:.2f}"
    peers = "  ".join(
        f"{name} {value[0]:+.2f} ({value[1]:.1f}s)" if isinstance(value, tuple) else f"{name} {value}"
        for name, value in line["peers"].items()
    )
    print(
        f"{line['task']:18s} {line['truth']:6.3f} {line['bias']:+7.3f} {line['std']:6.3f} {wanted:>5s} {verdict:>5s} "
        f"{line['coverage']:6.0%} {line['seconds']:6.2f}s  {peers}",
        flush=True,
    )


def main() -> None:
    """Runs the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--tasks", help="names, comma-separated (default: all)")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", help="write the lines here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    groups: list[tuple[dict[str, Any], Any, dict[str, Any]]] = [
        (label_tasks(), label_information, label_peers()),
        (vector_tasks(), vector_information, vector_peers()),
        (joint_tasks(), joint_information, {}),
    ]
    print(
        f"n = {args.rows}, {args.seeds} seeds, nats, 1 thread; peers over 2 seeds\n"
        f"{'task':18s} {'truth':>6s} {'bias':>7s} {'std':>6s} {'goal':>5s} {'':>5s} {'covers':>6s} {'CPU':>7s}  peers"
    )
    lines = []
    wanted = set(args.tasks.split(",")) if args.tasks else None
    for tasks, ours, peers in groups:
        # Imports and first calls are no part of an estimate's cost.
        ours(*next(iter(tasks.values())).draw(200, 0))
        for name, task in tasks.items():
            if wanted is None or name in wanted:
                lines.append(row(name, task, ours, {} if args.no_peers else peers, args.rows, args.seeds))
                show(lines[-1])
    goals = [line for line in lines if line["goal"] is not None]
    missed = [line["task"] for line in goals if abs(line["bias"]) > line["goal"]]
    print(f"\n{len(goals) - len(missed)} of {len(goals)} goals met; missed: {', '.join(missed) or 'none'}")
    print(f"mean coverage of the 95 % interval: {np.mean([line['coverage'] for line in lines]):.0%} (goal 90 %)")
    for line in lines:
        if line["flags"]:
            print(f"flag on {line['task']}: {'; '.join(line['flags'])}")
    if args.json:
        Path(args.json).write_text(json.dumps(lines, indent=2))


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
