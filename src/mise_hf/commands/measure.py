"""`mise-hf measure`: a trained generator's quality, for its report and its card."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf measure`."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="folder of `mise-hf train generator`, run with --exclude_speakers"
    )
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default: 0)")
    parser.add_argument("--json", action="store_true", help="print what results.json holds")


def run(args: argparse.Namespace) -> int:
    """Measure, write RUN/results.json, print a summary.

    Raises:
        ValueError: for a folder without a finished generator, or without speakers that it has not heard.
    """
    from mise_hf.commands.measured_run import RESULTS, measure_run
    from mise_hf.commands.quality_lines import quality_lines

    results = measure_run(args.run, args.seed)
    if args.json:
        print(json.dumps(results, indent=1))
        return 0
    print("\n".join(quality_lines(results["quality"], results["unheard_speakers"])))
    print(f"Measured on {results['measured_on']}.\n{results['seconds']:.0f} s. In {args.run / RESULTS}")
    return 0
