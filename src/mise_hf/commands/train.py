"""`mise-hf train`: the same as `accelerate launch -m mise_hf.training.NAME`, in one process."""

import argparse
import importlib
import json
from typing import Any

TRAININGS = ("aligner", "generator", "classifier")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf train`: what to train; the rest goes to that training's own parser."""
    parser.add_argument("what", choices=TRAININGS, help="which part")
    parser.add_argument(
        "rest",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="--config FILE.yaml, flags, --json; `mise-hf train NAME --help` lists them",
    )


def argument_class(what: str) -> Any:
    """The dataclass of a training's arguments."""
    from mise_hf.training import arguments

    return getattr(arguments, f"{what.capitalize()}Arguments")


def run(args: argparse.Namespace) -> int:
    """Train, then say where the checkpoint is and what the last step measured.

    Raises:
        ValueError: for arguments that the training refuses.
    """
    from pathlib import Path

    from mise_hf.training.arguments import parse_arguments

    rest = [word for word in args.rest if word not in ("--json", "--debug")]
    folder = Path(parse_arguments(argument_class(args.what), rest).output_dir)
    importlib.import_module(f"mise_hf.training.{args.what}").main(rest)
    last = json.loads((folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    if "--json" in args.rest:
        print(json.dumps({"folder": str(folder), "last_step": last}))
        return 0
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in last.items() if name != "step")
    print(f"{args.what} in {folder} after {last['step'] + 1} steps ({metrics})")
    return 0
