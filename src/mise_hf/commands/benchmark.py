"""`mise-hf benchmark`: does augmentation help on this corpus? Speaker-independent, paired, resumable."""

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from mise_hf.benchmark.arguments import BenchmarkArguments
    from mise_hf.benchmark.study import Plan
    from mise_hf.features import FeatureTable

TABLES = "results.md"
PACKAGES = ("mise-hf", "torch", "transformers", "numpy", "scikit-learn")
TRANSDUCTIVE = (
    "Transductive: states are standardised speaker by speaker over all their clips, unlabelled test clips included; "
    "not to be held against studies without."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf benchmark`; those left out are taken from --config, or have the defaults they state."""

    def flag(*names: str, **options: Any) -> None:
        parser.add_argument(*names, default=argparse.SUPPRESS, **options)

    flag("features", metavar="FEATURES", nargs="?", help="folder that `mise-hf extract` wrote, or emodb")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file with any of these flags; flags override")
    flag("--out", help="folder of the study; the same command goes on there")
    flag("--fractions", help="shares of the training clips, by comma (default: 0.1,0.3,1)")
    flag("--seeds", type=int, help="draws of the clips and trainings (default: 5)")
    flag(
        "--folds",
        choices=("speaker", "session", "official"),
        help="what is left out for testing; official: the corpus's own folds or partitions (default: speaker)",
    )
    flag("--modality", choices=("audio", "text", "both"), help="what is classified (default: audio)")
    flag(
        "--standardise",
        choices=("none", "speaker"),
        help="speaker: states of each speaker standardised, with unlabelled test clips: transductive (default: none)",
    )
    flag("--method", action="append", metavar="NAME", help="run this in-corpus method, not all; repeatable")
    flag(
        "--pretrained",
        action="append",
        metavar="ID",
        help="a generator of another corpus (Hub id, folder, or emodb_generator), adapted to the clips; repeatable",
    )
    flag("--only-pretrained", action="store_true", help="leave the in-corpus methods out")
    flag("--unlabelled", action="store_true", help="what the clips that are not drawn add without their labels")
    flag("--lines", metavar="TEXT_FEATURES", help="with --modality both: a text corpus, whose lines get a sound")
    flag("--minority", action="append", metavar="EMOTION", help="cut in training; repeatable")
    flag("--minority-share", type=float, help="share that is left of it (default: 0.1)")
    flag("--steps", type=int, help="optimiser steps of each in-corpus generator (default: 500)")
    flag("--licence", help="of the corpus (default: unstated)")
    flag("--workers", type=int, help="processes (default: one a core)")
    flag("--quick", action="store_true", help="a small study in minutes that checks the benchmark itself, and says so")
    flag("--json", action="store_true", help="print the tables as JSON")


def run(args: argparse.Namespace) -> int:
    """Run what is missing, write and print the tables.

    Raises:
        ValueError: for shares or emotions that cannot be, another study in the folder, a generator that has heard the
            speakers it would be tested on, or (quick) a check that failed.
    """
    from mise_hf.benchmark.arguments import fields_given, merge_arguments

    given = merge_arguments(args.config, fields_given(args))
    shares = given.shares
    from mise_hf.benchmark import tabular_gan
    from mise_hf.benchmark.folds import require_unseen_speakers
    from mise_hf.benchmark.pairs import PAIRED, lines_of
    from mise_hf.benchmark.study import Plan, default_workers, run_study, study_splits
    from mise_hf.pretrained import load_generator
    from mise_hf.training.rows import load_table

    table = load_table(given.features, [])
    unknown = sorted(set(given.minority) - set(table.label_names))
    if unknown:
        raise ValueError(f"--minority has {unknown}; wanted some of {list(table.label_names)}")
    generators = {f"{name}, adapted": load_generator(name) for name in given.pretrained}
    for generator in generators.values():
        require_unseen_speakers(generator.config.training_corpora, table)
    plan = Plan(
        shares=shares,
        seeds=tuple(range(given.seeds)),
        folds=given.folds,
        modality=given.modality,
        in_corpus=not given.only_pretrained,
        steps=given.steps,
        minority=tuple(given.minority),
        minority_share=given.minority_share,
        licence=given.licence,
        methods=tuple(given.method),
        standardise=given.standardise,
        unlabelled=given.unlabelled,
    )
    planted = {PAIRED: lines_of(given.lines, table)} if given.lines else None
    notes = list(dict.fromkeys(note for split in study_splits(table, plan) for note in split.notes))
    if plan.in_corpus and not plan.methods and not tabular_gan.available():
        notes.append("CTGAN is not installed (pip install 'mise-hf[ctgan]'), so it has no row")
    for note in notes:
        print(f"{table.corpus}: {note}", file=sys.stderr)
    out, workers = Path(given.out), given.workers or default_workers()
    checks: list[Any] = []
    if given.quick:
        from mise_hf.benchmark.quick import run_quick

        frame, records, checks = run_quick(table, plan, out, workers=workers)
    else:
        frame, records = run_study(table, plan, out, generators=generators, workers=workers, planted=planted)
    results = write_results(out, table, given, plan, frame, records, notes, [str(check) for check in checks])
    corpora = {name: generator.config.training_corpora for name, generator in generators.items()}
    (out / "results.json").write_text(json.dumps(results | {"generators": corpora}, indent=1), encoding="utf-8")
    print(json.dumps(results["tables"]) if given.json else (out / TABLES).read_text(encoding="utf-8"))
    failed = [check.words for check in checks if not check.held]
    if failed:
        raise ValueError(f"the benchmark failed its own check: {'; '.join(failed)}")
    return 0


def write_results(
    out: Path,
    table: "FeatureTable",
    given: "BenchmarkArguments",
    plan: "Plan",
    frame: "pd.DataFrame",
    records: Sequence[dict[str, Any]],
    notes: Sequence[str],
    checks: Sequence[str],
) -> dict[str, Any]:
    """Write results.md, predictions.parquet and the figure; returns what results.json holds."""
    from mise_hf.benchmark.figure import draw_study
    from mise_hf.benchmark.plain import BEST
    from mise_hf.benchmark.tables import as_markdown, chosen_ratios, study_table
    from mise_hf.features.provenance import training_corpora

    transductive = plan.standardise == "speaker"
    tables = {f"{share:g}": study_table(frame[frame["share"] == share], BEST) for share in plan.shares}
    title = f"{table.corpus}, {plan.folds} folds, {plan.modality}{', transductive' if transductive else ''}"
    lines = [f"# {title}", "", *([TRANSDUCTIVE, ""] if transductive else [])]
    lines += [*(f"- {note}" for note in notes), *([""] if notes else [])]
    if checks:
        lines += ["## Sanity of the benchmark itself", "", *(f"- {check}" for check in checks), ""]
    for share, found in tables.items():
        kind = " (transductive)" if transductive else ""
        lines += [f"## {float(share):.0%} of the training clips{kind}", "", as_markdown(found), ""]
        ratios = chosen_ratios([record for record in records if f"{record['share']:g}" == share])
        if ratios:
            lines += ["Synthetic rows to real ones, chosen inside (cells):", "", *ratios, ""]
    (out / TABLES).write_text("\n".join(lines), encoding="utf-8")
    frame.to_parquet(out / "predictions.parquet", index=False)
    figures = draw_study(tables, BEST, title, out)
    return as_results(tables, records) | {
        "command": f"mise-hf benchmark {table.corpus} --fractions {given.fractions} --seeds {given.seeds} "
        f"--folds {given.folds} --modality {given.modality} --standardise {given.standardise} --steps {given.steps}",
        "transductive": transductive,
        "notes": list(notes),
        "sanity": list(checks),
        "figures": [path.name for path in figures],
        "corpora": training_corpora(table, given.licence),
        "fingerprint": table.fingerprint,
        "label_names": list(table.label_names),
        "versions": {package: version(package) for package in PACKAGES},
    }


def as_results(tables: dict[str, Any], records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The tables and what each cell chose and measured, as JSON values."""
    plain = {
        share: [
            {key: None if value != value else value for key, value in row.items()} for row in found.to_dict("records")
        ]
        for share, found in tables.items()
    }
    return {"tables": plain, "cells": list(records)}
