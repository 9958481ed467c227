"""`mise-hf report`."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf report`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a demo, a benchmark or a training")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: RUN/report.html")
    parser.add_argument("--json", action="store_true", help="print path and sections as JSON")


def run(args: argparse.Namespace) -> int:
    """Write the page, say where it is and what it shows.

    Raises:
        ValueError: for a folder that holds no run.
    """
    from mise_hf.report.page import build_page, write_page

    page = build_page(args.run)
    path = write_page(page, args.out or args.run / "report.html")
    if args.json:
        print(json.dumps({"report": str(path), "sections": page.titles}))
    else:
        print(f"{path}: {', '.join(page.titles)}")
    return 0
