"""Time and memory of making as many synthetic rows as there are real ones: SMOTE, CTGAN and ours.

    python benchmarks/oversampling.py --rows 4000 100000 1000000 --out benchmarks/results/oversampling.md

Rows are 256 numbers of four Gaussian classes, the rarest with a tenth of the commonest. Every method runs in a child
process of its own: `fit` is what it needs before the first row, `draw` the rows that make all classes equal, both in
CPU seconds of that process (all threads), so that a loaded machine does not blur them; memory is the process's peak,
less what the data and the imports alone take. CTGAN runs where it is installed (`pip install ctgan`), and where its
child does not end within --limit CPU seconds the table says so. Ours is a generator of 100 steps in the space of these
rows: its fit includes the training, and a checkpoint is fitted once for all draws. This is cost, not quality: what the
rows are worth is `mise-hf demo`'s question.
"""

import argparse
import json
import platform
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

DIMENSIONS, CLASSES, STEPS = 256, 4, 100
SHARES = np.array([0.4, 0.32, 0.24, 0.04])
METHODS = ("SMOTE", "CTGAN", "mise_hf")
PACKAGES = {"SMOTE": "imbalanced-learn", "CTGAN": "ctgan", "mise_hf": "mise-hf"}
# Rows made in one go: their memory is what counts, not how many a caller asks for.
CHUNK = 50_000


def draw_data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 (rows, 256) and labels int64 (rows,)."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), np.maximum(2, (SHARES * rows).astype(int)))
    features = rng.standard_normal((len(labels), DIMENSIONS), dtype=np.float32)
    return features + 2 * np.eye(CLASSES, DIMENSIONS, dtype=np.float32)[labels], labels


def wanted_labels(labels: np.ndarray) -> np.ndarray:
    """The classes of the rows that are missing until all classes are as large as the largest."""
    counts = np.bincount(labels)
    return np.repeat(np.arange(CLASSES), counts.max() - counts)


def smote(features: np.ndarray, labels: np.ndarray) -> tuple[Callable[[], None], Callable[[], int]]:
    """imbalanced-learn's SMOTE, which fits and draws in one call."""
    from imblearn.over_sampling import SMOTE

    return lambda: None, lambda: len(SMOTE(random_state=0).fit_resample(features, labels)[0]) - len(features)


def ctgan(features: np.ndarray, labels: np.ndarray) -> tuple[Callable[[], None], Callable[[], int]]:
    """CTGAN at its defaults, conditioned on the label column."""
    import pandas as pd
    from ctgan import CTGAN

    frame = pd.DataFrame(features, columns=[f"x{i}" for i in range(DIMENSIONS)]).assign(label=labels.astype(str))
    model = CTGAN()
    counts = np.bincount(wanted_labels(labels), minlength=CLASSES)

    def draw() -> int:
        parts = [
            model.sample(int(n), condition_column="label", condition_value=str(c)) for c, n in enumerate(counts) if n
        ]
        return sum(map(len, parts))

    return lambda: model.fit(frame, discrete_columns=["label"]), draw


def ours(features: np.ndarray, labels: np.ndarray) -> tuple[Callable[[], None], Callable[[], int]]:
    """A generator trained on the rows, then asked for the missing ones in chunks."""
    import torch

    from mise_hf.models.modeling_mise_generator import MiseGenerator
    from mise_hf.training.arguments import GeneratorArguments
    from mise_hf.training.generator import train_generator
    from mise_hf.training.rows import TrainingRows

    made: dict[str, MiseGenerator] = {}

    def fit() -> None:
        rows = TrainingRows(torch.from_numpy(features), torch.from_numpy(labels), None, None, None)
        names = [f"class {i}" for i in range(CLASSES)]
        made["it"] = train_generator(rows, GeneratorArguments(steps=STEPS, seed=0), label_names=names)

    def draw() -> int:
        wanted, source = torch.from_numpy(wanted_labels(labels)), torch.Generator().manual_seed(0)
        return sum(len(made["it"].generate(part, generator=source).features) for part in wanted.split(CHUNK))

    return fit, draw


def child(method: str, rows: int) -> None:
    """One method on one size, in this process; prints JSON."""
    features, labels = draw_data(rows)
    fit, draw = {"SMOTE": smote, "CTGAN": ctgan, "mise_hf": ours}[method](features, labels)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    fit()
    fitted = time.process_time()
    made = draw()
    drawn = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps({"made": made, "fit": fitted - start, "draw": drawn - fitted, "megabytes": (peak - before) / 1024})
    )


def measure(method: str, rows: int, limit: float) -> str:
    """One line of the table."""
    try:
        shown = version(PACKAGES[method])
    except PackageNotFoundError:
        return f"| {rows:,} | {method} | not installed | | | | |"
    command = [sys.executable, __file__, "--child", method, "--rows", str(rows)]
    most = (limit, limit + 5)
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, most)
    )
    if done.returncode == -signal.SIGXCPU:
        return f"| {rows:,} | {method} | {shown} | | not done in {limit} | | |"
    if done.returncode:
        killed = f"ended by {signal.Signals(-done.returncode).name}" if done.returncode < 0 else ""
        why = killed or (done.stderr.strip().splitlines() or ["failed"])[-1][:60]
        return f"| {rows:,} | {method} | {shown} | | {why} | | |"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return (
        f"| {rows:,} | {method} | {shown} | {found['made']:,} | {found['fit']:.1f} | {found['draw']:.1f} | "
        f"{found['megabytes']:.0f} |"
    )


def main() -> None:
    """Print the table, and write it where --out says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[4000, 100_000, 1_000_000])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--limit", type=int, default=3600, help="CPU seconds for one child (default: 3600)")
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    parser.add_argument("--child", choices=METHODS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.rows[0])
        return
    lines = [
        f"`python benchmarks/oversampling.py`, Python {platform.python_version()}, {platform.machine()}, "
        f"numpy {version('numpy')}, torch {version('torch')}; CPU seconds, megabytes beyond data and imports.",
        "",
        "| rows x 256 | method | version | rows made | fit, CPU s | draw, CPU s | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for rows in args.rows:
        for method in args.methods:
            lines.append(measure(method, rows, args.limit))
            print(lines[-1], flush=True)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("# Cost of oversampling\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
