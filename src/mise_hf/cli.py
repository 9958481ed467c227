"""`mise-hf ...`: parses and delegates, nothing else. `mise_hf.commands.catalogue` lists commands and exit statuses."""

import argparse
import difflib
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from mise_hf.commands.catalogue import COMMANDS, EXIT_STATUS, examples, table_of_contents

REFUSED, FAULT, INTERRUPTED = 1, 70, 128 + signal.SIGINT
# transformers, huggingface_hub and datasets draw bars on whatever standard error is; tqdm's own know a terminal.
QUIET = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line and what to do."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{self.prog}: {message}\n{self.prog} --help has the flags and examples\n")


def build_parser(names: Sequence[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The parser of `mise-hf`; only the commands in `names` get their flags, since those need imports."""
    parser = Parser(
        prog="mise-hf",
        usage="mise-hf [--version] [--debug] COMMAND ...",
        description="Synthetic speech-emotion features that carry emotion, and the measures that show whether they do.",
        epilog=table_of_contents(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error (before or after COMMAND)")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", help=argparse.SUPPRESS, parser_class=Parser)
    for name, entry in COMMANDS.items():
        command = commands.add_parser(
            name,
            description=entry.summary,
            epilog=f"{examples(name)}\n\n{EXIT_STATUS}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")
        if name in names:
            importlib.import_module(entry.module).add_arguments(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mise-hf`; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in argv if not word.startswith("-")), None)
    if not sys.stderr.isatty():
        for variable in QUIET:
            os.environ.setdefault(variable, "1")
    debug = "--debug" in argv
    try:
        try:
            return _run(argv, name)
        finally:
            # Here, where a reader that has left can still be told from an error.
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has left; Python would complain once more on closing standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        if debug:
            raise
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as error:
        if debug:
            raise
        print(f"mise-hf {name}: {_one_line(error)}\nmise-hf {name} --help has examples", file=sys.stderr)
        return REFUSED
    except Exception as error:
        if debug:
            raise
        print(
            f"mise-hf {name}: {type(error).__name__}: {_one_line(error)}\n"
            "this is a fault of mise_hf: give --debug for the traceback and report it",
            file=sys.stderr,
        )
        return FAULT


def _run(argv: list[str], name: str | None) -> int:
    if name is not None and name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"wanted one of {', '.join(COMMANDS)}"
        print(f"mise-hf: there is no command {name!r}; {hint}\nmise-hf --help lists them", file=sys.stderr)
        return 2
    parser = build_parser([name] if name else [])
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        where = " ".join(["mise-hf", *([name] if name else [])])
        print(f"{where}: unknown flags {' '.join(unknown)}\n{where} --help has the flags and examples", file=sys.stderr)
        return 2
    if args.version:
        from mise_hf import __version__

        print(__version__)
        return 0
    if args.command is None:
        parser.print_help()
        return 2
    return importlib.import_module(COMMANDS[args.command].module).run(args)


def _one_line(error: Exception) -> str:
    """The message without line breaks: transformers' are paragraphs."""
    return " ".join(str(error).split()) or type(error).__name__


def _start_missing_processes() -> None:
    """For `accelerate launch -m mise_hf.cli COMMAND`, where several processes share the work."""
    if "MASTER_ADDR" in os.environ and sys.argv[1:2] in (["extract"], ["train"]):
        from mise_hf.features.missing_processes import start_missing_processes

        start_missing_processes("mise_hf.cli")


if __name__ == "__main__":
    _start_missing_processes()
    sys.exit(main())
