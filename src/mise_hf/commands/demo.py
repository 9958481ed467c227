"""`mise-hf demo`: on the embedded EmoDB, or with --corpus on the user's own clips."""

import argparse
import json
from pathlib import Path
from typing import Any

from mise_hf.commands.quality_lines import quality_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf demo`."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/demo, with --corpus runs/own")
    parser.add_argument("--overwrite", action="store_true", help="replace a run that DIR holds")
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default: 0)")
    parser.add_argument("--steps", type=int, help="optimiser steps a generator (default: 500, about 8 s on one core)")
    parser.add_argument("--json", action="store_true", help="print results.json in place of the tables")
    own = parser.add_argument_group("your own clips")
    own.add_argument(
        "--corpus", type=Path, metavar="FILE", help="CSV, TSV, JSONL or Parquet with audio, label, speaker"
    )
    own.add_argument("--audio-encoder", metavar="ID", help="encoder on the Hub or folder, e.g. openai/whisper-base")
    own.add_argument(
        "--column", action="append", metavar="FIELD=COLUMN", help="a column of another name, e.g. label=EMOTION"
    )
    own.add_argument("--licence", help="licence of the clips, for checkpoints and report (default: unstated)")


def run(args: argparse.Namespace) -> int:
    """Run, write the folder and its report, print the tables.

    Raises:
        ValueError: for flags that do not belong together, and whatever the runs refuse.
    """
    if args.steps is not None and args.steps < 1:
        raise ValueError(f"--steps is {args.steps}; wanted 1 or more")
    if args.seed < 0:
        raise ValueError(f"--seed is {args.seed}; wanted 0 or more")
    results, printed = _own(args) if args.corpus else _embedded(args)
    print(json.dumps(results) if args.json else printed)
    return 0


def _embedded(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    for flag in ("audio_encoder", "column", "licence"):
        if getattr(args, flag):
            raise ValueError(f"--{flag.replace('_', '-')} is given without --corpus; wanted --corpus clips.csv")
    from mise_hf.demo import STEPS, run_demo
    from mise_hf.report.page import write_report

    out = args.out or Path("runs/demo")
    results = run_demo(out, overwrite=args.overwrite, seed=args.seed, steps=args.steps or STEPS)
    write_report(out)
    return results, describe(results, out)


def _own(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if not args.audio_encoder:
        raise ValueError("--audio-encoder is missing; wanted one to hear --corpus with, e.g. openai/whisper-base")
    from mise_hf.commands.own_corpus import STEPS, run_own_corpus
    from mise_hf.corpora.columns import parse_pairs
    from mise_hf.report.page import write_report

    out = args.out or Path("runs/own")
    results = run_own_corpus(
        args.corpus,
        args.audio_encoder,
        out,
        columns=parse_pairs(args.column, "--column"),
        licence=args.licence or "unstated",
        seed=args.seed,
        steps=args.steps or STEPS,
        overwrite=args.overwrite,
    )
    write_report(out)
    return results, describe_own(results, out)


def describe_own(results: dict[str, Any], out: Path) -> str:
    """The print of a demo on the user's own clips."""
    corpus = results["corpora"][0]
    scene = results["in_corpus"]["1.0"]
    memory = results["memorisation"]
    carried = results["carried_information"]
    lines = [
        f"{corpus['name']}: {corpus['utterances']} clips, {len(corpus['speakers'])} speakers; unseen speakers in every "
        f"fold; seed {results['seed']}, {results['steps']} steps a generator",
        "",
        _header(scene),
        *(_row(name, entry, scene["baseline"]) for name, entry in scene["methods"].items()),
        "",
        *results["verdicts"],
    ]
    if carried:
        lines.append(
            f"Carried to the unseen speakers of the first fold, in nats: real rows {carried['real']:.2f}, "
            f"synthetic rows {carried['synthetic']:.2f}{'' if carried['real'] > 0 else ' (too few clips to tell)'}."
        )
    if memory:
        lines.append(
            f"Memorisation of a generator made alike from three quarters of the clips: {memory['share']:.3f} (95 % of "
            f"its null {memory['null_95']:.3f})."
        )
    return "\n".join([*lines, "", f"{results['seconds']:.0f} s. In {out}: generator, ser, features, report.html"])


def describe(results: dict[str, Any], out: Path) -> str:
    """The print of the demo."""
    lines = [
        f"EmoDB, Whisper-base states, speaker-independent; seed {results['seed']}, {results['steps']} steps a generator"
    ]
    titles = {"in_corpus": "Scene 1, in one corpus", "sharing": "Scene 2, site B with what site A shares"}
    for key, title in titles.items():
        for share, scene in results[key].items():
            lines += ["", f"{title}: {float(share):.0%} of the training clips", _header(scene)]
            lines += [_row(name, entry, scene["baseline"]) for name, entry in scene["methods"].items()]
    lines += [
        "",
        *quality_lines(results["quality"], results["unheard_speakers"]),
        "",
        *results["verdicts"],
        "",
        f"{results['seconds']:.0f} s on {results['machine']['cores']} cores. In {out}: aligner, generator, ser, "
        "predictions.parquet, results.json, report.html",
    ]
    return "\n".join(lines)


def _header(scene: dict[str, Any]) -> str:
    return f"  {'':32}{'UAR %':>7}{'folds +-':>10}{'to ' + scene['baseline'].split(' (')[0]:>16}{'p':>8}"


def _row(name: str, entry: dict[str, Any], baseline: str) -> str:
    spread = "" if entry["uar_std"] is None else f"{100 * entry['uar_std']:.1f}"
    text = f"  {name:32}{100 * entry['uar']:7.1f}{spread:>10}"
    if name == baseline:
        return text
    return f"{text}{100 * entry['difference']:+16.1f}{entry['p_value']:8.3f}"
