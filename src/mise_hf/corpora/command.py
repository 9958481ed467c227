"""`mise-hf prepare`: a corpus as its owner hands it out to rows with labels, speakers and folds."""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf prepare`."""
    from mise_hf.corpora.registry import CORPORA

    parser.add_argument("corpus", choices=sorted(CORPORA), help="which corpus, or `manifest` or `folder` for any")
    parser.add_argument("root", type=Path, help="its folder as it was handed out (for `manifest`: the file)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument("--labels", help="set of labels of this corpus, e.g. 4 or all (default: its standard one)")
    parser.add_argument("--overwrite", action="store_true", help="replace a prepared corpus in DIR")


def run(args: argparse.Namespace) -> int:
    """Prepare and tell what was kept, merged and dropped; 0 when done.

    Raises:
        ValueError: for bad input, see `mise_hf.corpora.read_corpus` and `write_prepared`.
    """
    from mise_hf.corpora.prepared import write_prepared
    from mise_hf.corpora.registry import read_corpus
    from mise_hf.corpora.report import describe

    corpus = read_corpus(args.corpus, args.root, labels=args.labels)
    write_prepared(corpus, args.out, overwrite=args.overwrite)
    print(describe(corpus))
    return 0


def main() -> int:
    """Entry point of `python -m mise_hf.corpora.command`."""
    parser = argparse.ArgumentParser(prog="mise-hf prepare", description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
