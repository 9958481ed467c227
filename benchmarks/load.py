"""Seconds until a checkpoint is loaded, without the package (`trust_remote_code=True`) and with it, in fresh processes.

    python benchmarks/load.py runs/demo/generator runs/demo/ser

CPU seconds, which neighbours on the machine disturb less than the clock; the quickest of some runs. `import` is torch
and transformers (and mise_hf where it is used), `load` is `from_pretrained` itself. Without the package the first run
of a machine also copies the code to the cache of transformers; that one is left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import json, sys, time
with_package = sys.argv[2] == "with"
if with_package:
    import mise_hf
else:
    sys.modules["mise_hf"] = None
from transformers import AutoModel, AutoModelForAudioClassification
imported = time.process_time()
kind = json.load(open(sys.argv[1] + "/config.json"))["model_type"]
auto = AutoModelForAudioClassification if kind == "mise_ser" else AutoModel
model = auto.from_pretrained(sys.argv[1], trust_remote_code=not with_package)
assert type(model).__module__.startswith("mise_hf." if with_package else "transformers_modules.")
print(json.dumps([imported, time.process_time() - imported]))
"""


def seconds(checkpoint: Path, how: str, runs: int, home: str) -> list[float]:
    """CPU seconds of importing and of loading, the smallest of each."""
    environment = {**os.environ, "HF_HOME": home, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    told = []
    for _ in range(runs + 1):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(checkpoint.resolve()), how],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        told.append(json.loads(done.stdout.splitlines()[-1]))
    return [min(column) for column in zip(*told[1:], strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=Path, help="folders that save_pretrained wrote")
    parser.add_argument("--runs", type=int, default=3, help="processes each (default: 3)")
    args = parser.parse_args()
    print(f"{'checkpoint':24}{'package':10}{'import':>8}{'load':>8}   CPU seconds")
    with tempfile.TemporaryDirectory() as home:
        for checkpoint in args.checkpoints:
            for how in ("without", "with"):
                imported, loaded = seconds(checkpoint, how, args.runs, home)
                print(f"{checkpoint.name:24}{how:10}{imported:8.2f}{loaded:8.2f}", flush=True)


if __name__ == "__main__":
    main()
