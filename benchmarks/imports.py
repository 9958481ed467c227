"""Seconds until `import mise_hf` and `mise-hf --help` are done, each in fresh processes; the quickest of some runs.

    python benchmarks/imports.py

Wanted on an idle machine: 0.3 s and 0.5 s. An empty interpreter stands beside them.
"""

import argparse
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "import mise_hf": ("-c", "import mise_hf"),
    "mise-hf --help": ("-m", "mise_hf.cli", "--help"),
    "mise-hf train --help": ("-m", "mise_hf.cli", "train", "--help"),
    "import mise_hf; mise_hf.MiseGenerator": ("-c", "import mise_hf; mise_hf.MiseGenerator"),
}


def seconds(arguments: tuple[str, ...]) -> float:
    """Wall-clock seconds of one fresh interpreter."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Print one line a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="processes a command (default: 5)")
    args = parser.parse_args()
    print(f"Python {sys.version.split()[0]}; quickest of {args.runs} fresh processes, seconds")
    for name, arguments in COMMANDS.items():
        print(f"  {name:40s}{min(seconds(arguments) for _ in range(args.runs)):6.2f}")


if __name__ == "__main__":
    main()
