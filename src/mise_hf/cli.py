"""`mise-hf ...`: parses and delegates, nothing else. Exit status: 0 done, 1 bad input, 2 bad flags, 130 interrupted."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

# Command, the module with its `add_arguments` and `run`, and one line of help. Modules are imported when called.
COMMANDS = {
    "demo": ("mise_hf.commands.demo", "the whole of mise_hf on embedded speech, in some minutes"),
    "prepare": ("mise_hf.corpora.command", "a corpus as its owner hands it out -> rows with labels, speakers, folds"),
    "extract": ("mise_hf.features.command", "a prepared corpus -> pooled encoder states on disk"),
    "train": ("mise_hf.commands.train", "aligner, generator or SER head"),
    "quality": ("mise_hf.metrics.command", "how much emotion synthetic features carry, and how faithful they are"),
    "predict": ("mise_hf.commands.predict", "emotion probabilities of recordings"),
    "publish": ("mise_hf.hub.command", "models, features or the metric to the Hub; or verify what came from it"),
}


def build_parser(names: Sequence[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The parser of `mise-hf`; only the commands in `names` get their flags, since those need imports."""
    parser = argparse.ArgumentParser(
        prog="mise-hf", description="Synthetic speech-emotion features that carry emotion."
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in names:
            importlib.import_module(module).add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mise-hf`."""
    argv = list(sys.argv[1:] if argv is None else argv)
    asked = [name for name in argv if name in COMMANDS][:1]
    args = build_parser(asked).parse_args(argv)
    try:
        return importlib.import_module(COMMANDS[args.command][0]).run(args)
    except (ValueError, OSError) as error:
        if args.debug:
            raise
        print(f"mise-hf {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) has left; Python would complain once more on closing standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
