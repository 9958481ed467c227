"""`mise-hf benchmark`: does augmentation help on this corpus? Speaker-independent, paired, resumable."""

import argparse
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

TABLES = "results.md"
PACKAGES = ("mise-hf", "torch", "transformers", "numpy", "scikit-learn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf benchmark`."""
    parser.add_argument("features", metavar="FEATURES", help="folder that `mise-hf extract` wrote, or emodb")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study; the same command goes on there")
    parser.add_argument(
        "--fractions", default="0.1,0.3,1", help="shares of the training clips, by comma (default: 0.1,0.3,1)"
    )
    parser.add_argument("--seeds", type=int, default=5, help="draws of the clips and trainings (default: 5)")
    parser.add_argument(
        "--folds", choices=("speaker", "session"), default="speaker", help="what is left out for testing"
    )
    parser.add_argument("--modality", choices=("audio", "text", "both"), default="audio", help="what is classified")
    parser.add_argument(
        "--pretrained",
        action="append",
        default=[],
        metavar="ID",
        help="a generator of another corpus (Hub id, folder, or emodb_generator), adapted to the clips; repeatable",
    )
    parser.add_argument("--only-pretrained", action="store_true", help="leave the in-corpus methods out")
    parser.add_argument(
        "--minority", action="append", default=[], metavar="EMOTION", help="cut in training; repeatable"
    )
    parser.add_argument("--minority-share", type=float, default=0.1, help="share that is left of it (default: 0.1)")
    parser.add_argument("--steps", type=int, default=500, help="optimiser steps of each in-corpus generator")
    parser.add_argument("--licence", default="unstated", help="of the corpus")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")


def run(args: argparse.Namespace) -> int:
    """Run what is missing, write and print the tables.

    Raises:
        ValueError: for shares or emotions that cannot be, another study in the folder, or a generator that has heard
            the speakers it would be tested on.
    """
    shares = parse_shares(args.fractions)
    if args.seeds < 1 or args.steps < 1:
        raise ValueError(f"--seeds is {args.seeds} and --steps {args.steps}; wanted 1 or more")
    if args.only_pretrained and not args.pretrained:
        raise ValueError("--only-pretrained is given without --pretrained; wanted at least one generator")
    from mise_hf.benchmark.folds import require_unseen_speakers
    from mise_hf.benchmark.plain import BEST
    from mise_hf.benchmark.study import Plan, default_workers, run_study
    from mise_hf.benchmark.tables import as_markdown, study_table
    from mise_hf.features.provenance import training_corpora
    from mise_hf.pretrained import load_generator
    from mise_hf.training.rows import load_table

    table = load_table(args.features, [])
    unknown = sorted(set(args.minority) - set(table.label_names))
    if unknown:
        raise ValueError(f"--minority has {unknown}; wanted some of {list(table.label_names)}")
    generators = {f"{name}, adapted": load_generator(name) for name in args.pretrained}
    for generator in generators.values():
        require_unseen_speakers(generator.config.training_corpora, table)
    plan = Plan(
        shares=shares,
        seeds=tuple(range(args.seeds)),
        folds=args.folds,
        modality=args.modality,
        in_corpus=not args.only_pretrained,
        steps=args.steps,
        minority=tuple(args.minority),
        minority_share=args.minority_share,
        licence=args.licence,
    )
    frame, records = run_study(table, plan, args.out, generators=generators, workers=args.workers or default_workers())
    tables = {f"{share:g}": study_table(frame[frame["share"] == share], BEST) for share in shares}
    text = "\n".join(
        f"## {float(share):.0%} of the training clips\n\n{as_markdown(found)}\n" for share, found in tables.items()
    )
    (args.out / TABLES).write_text(text, encoding="utf-8")
    frame.to_parquet(args.out / "predictions.parquet", index=False)
    results = as_results(tables, records) | {
        "command": f"mise-hf benchmark {table.corpus} --fractions {args.fractions} --seeds {args.seeds} "
        f"--folds {args.folds} --modality {args.modality} --steps {args.steps}",
        "corpora": training_corpora(table, args.licence),
        "fingerprint": table.fingerprint,
        "label_names": list(table.label_names),
        "generators": {name: generator.config.training_corpora for name, generator in generators.items()},
        "versions": {package: version(package) for package in PACKAGES},
    }
    (args.out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(json.dumps(results["tables"]) if args.json else text)
    return 0


def parse_shares(text: str) -> tuple[float, ...]:
    """`0.1,0.3,1` as numbers.

    Raises:
        ValueError: for anything but numbers more than 0, up to 1.
    """
    try:
        shares = tuple(dict.fromkeys(float(word) for word in text.split(",")))
    except ValueError as error:
        raise ValueError(f"--fractions is {text!r}; wanted numbers by comma, e.g. 0.1,0.3,1") from error
    if not all(0 < share <= 1 for share in shares):
        raise ValueError(f"--fractions is {text!r}; wanted numbers more than 0, up to 1")
    return shares


def as_results(tables: dict[str, Any], records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The tables and what each cell chose and measured, as JSON values."""
    plain = {
        share: [
            {key: None if value != value else value for key, value in row.items()} for row in found.to_dict("records")
        ]
        for share, found in tables.items()
    }
    return {"tables": plain, "cells": list(records)}
