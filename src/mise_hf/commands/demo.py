"""`mise-hf demo`."""

import argparse
import json
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf demo`."""
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="default: runs/demo")
    parser.add_argument("--overwrite", action="store_true", help="replace a run that DIR holds")
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default: 0)")
    parser.add_argument("--steps", type=int, help="optimiser steps a generator (default: 500, about 8 s on one core)")
    parser.add_argument("--json", action="store_true", help="print results.json in place of the tables")


def run(args: argparse.Namespace) -> int:
    """Run both scenes, write the folder, print the tables."""
    from mise_hf.demo import STEPS, run_demo
    from mise_hf.report.page import write_report

    if args.steps is not None and args.steps < 1:
        raise ValueError(f"--steps is {args.steps}; wanted 1 or more")
    results = run_demo(args.out, overwrite=args.overwrite, seed=args.seed, steps=args.steps or STEPS)
    write_report(args.out)
    print(json.dumps(results) if args.json else describe(results, args.out))
    return 0


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
    quality = results["quality"]
    memory = quality["memorisation"]
    made, real = quality["label_information"], quality["label_information_of_unseen_speakers"]
    lines += [
        "",
        f"The saved generator (speakers {', '.join(results['unheard_speakers'])} unheard), in nats:",
        f"  I(c; h)      real rows of unseen speakers {real['value']:.2f} (null {real['null_95']:.2f}, H(c) "
        f"{real['entropy']:.2f}), synthetic rows {made['value']:.2f} (null "
        f"{made['null_95']:.2f}, H(c) {made['entropy']:.2f})",
        f"  carried      to unseen speakers {quality['carried_information']:.2f}; by the real training rows "
        f"{quality['carried_information_of_real_rows']:.2f}: {quality['carried_share']:.0%}; by the untrained start "
        f"(class means, shared covariance) {quality['carried_information_before_training']:.2f}",
        f"  spread       recall {quality['recall']:.2f}, within-class variance "
        f"{quality['within_class_variance_ratio']:.2f} of the real",
        f"  memorisation the same recipe on three quarters of the rows: {memory['share']:.3f} of what it makes lies "
        f"nearer to training rows than withheld ones do (null {memory['null_95']:.3f})",
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
