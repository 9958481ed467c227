"""`mise-hf train`: the same as `accelerate launch -m mise_hf.training.NAME`, in one process."""

import argparse
import importlib

TRAININGS = ("aligner", "generator", "classifier")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf train`: what to train; the rest goes to that training's own parser."""
    parser.add_argument("what", choices=TRAININGS)
    parser.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="--config FILE.yaml and flags; see `mise-hf train NAME --help`",
    )


def run(args: argparse.Namespace) -> int:
    """Train."""
    importlib.import_module(f"mise_hf.training.{args.what}").main(args.rest)
    return 0
