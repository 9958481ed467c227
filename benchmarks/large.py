"""CPU seconds and peak memory of one large estimate: `python benchmarks/large.py --rows 100000 --columns 1024`.

Labels against vectors, then the vectors against 16 more columns, each in a process of its own; float32, one thread.
"""

from __future__ import annotations

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from threadpoolctl import threadpool_limits

WHAT = ("label", "vector")


def measured(what: str, rows: int, columns: int) -> str:
    """One line: the figure, CPU seconds, peak memory with and without the data, and what the result says it used."""
    from mise_hf.metrics import label_information, vector_information

    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=rows)
    features = rng.standard_normal(size=(rows, columns), dtype=np.float32)
    features[:, :8] += (0.5 * rng.normal(size=(4, 8))).astype(np.float32)[labels]
    other = features[:, :16] + rng.standard_normal(size=(rows, 16), dtype=np.float32)
    with threadpool_limits(limits=1):
        started = time.process_time()
        found = label_information(labels, features) if what == "label" else vector_information(features, other)
        spent = time.process_time() - started
    # Kilobytes on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return (
        f"{what:8s} n = {rows} x {columns}: {found.raw:.3f} nats, {spent:.0f} CPU s, peak {peak:.2f} GB "
        f"(data {features.nbytes / 1024**3:.2f} GB); {found.method}"
    )


def main() -> None:
    """Prints a line for each estimator."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=1024)
    parser.add_argument("--what", choices=WHAT, action="append", help="default: both")
    args = parser.parse_args()
    for what in args.what or WHAT:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(pool.submit(measured, what, args.rows, args.columns).result(), flush=True)


if __name__ == "__main__":
    main()
