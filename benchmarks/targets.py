"""One table of what was asked and what was found, from the cells that `benchmarks/augmentation.py` left.

`python benchmarks/targets.py --out DIR` writes `benchmarks/results/targets.md`. A row whose study is not in DIR is said
not to have been run. p by swapping predictions speaker by speaker, with Holm's correction over the rows of this table.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from augmentation import ADAPTED_GAUSSIAN, WEIGHTS, generator_name

from mise_hf.benchmark.adapted import WITH_PLAIN
from mise_hf.benchmark.foreign import GAUSSIAN
from mise_hf.benchmark.plain import BEST, MEAN
from mise_hf.benchmark.re_estimated import OWN, OWN_GAUSSIAN
from mise_hf.benchmark.statistics import holm, unweighted_average_recall
from mise_hf.benchmark.study import CELLS, SPEAKER_FOLDS
from mise_hf.benchmark.tables import contrast, recall_of
from mise_hf.features import load_embedded

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Target:
    """A row: a study and share, the methods (several seeds of one generator count together) and what they must beat."""

    setting: str
    study: str
    share: float
    methods: tuple[str, ...]
    goal: str
    against: tuple[str, ...] = (BEST,)


def generators(weight: float, seeds: int, suffix: str = "") -> tuple[str, ...]:
    """The methods of one MI weight."""
    return tuple(generator_name(weight, seed) + suffix for seed in range(seeds))


def targets(seeds: int) -> list[Target]:
    """The rows, with `seeds` generator seeds of each MI weight in the transfer studies."""
    rows = [
        Target("EmoDB 30 %, in one corpus: MISE, re-estimated", "emodb-unlabelled", 0.3, (OWN,), "+2.6"),
        Target("RAVDESS 20 %, in one corpus: MISE, re-estimated", "ravdess-unlabelled", 0.2, (OWN,), "+2.6"),
    ]
    transfers = [
        ("EmoDB 30 %", "emodb-from-ravdess", 0.3, "+6"),
        ("EmoDB 10 %", "emodb-from-ravdess", 0.1, "+11"),
        ("RAVDESS 5 %", "ravdess-from-emodb", 0.05, "+6.5"),
    ]
    ours = generators(WEIGHTS[0], seeds)
    for corpus, study, share, goal in transfers:
        rows.append(Target(f"{corpus}, the other corpus's MISE generator, adapted", study, share, ours, goal))
    for corpus, study, share, _ in transfers:
        for name, against in (
            ("the source's Gaussian beside the rows", (GAUSSIAN,)),
            ("the source's Gaussian, adapted", (ADAPTED_GAUSSIAN,)),
            ("MI weight 0", generators(0.0, seeds)),
        ):
            rows.append(Target(f"{corpus}, the same less {name}", study, share, ours, "above", against))
    mixed = generators(WEIGHTS[0], seeds, WITH_PLAIN)
    rows += [
        Target("EmoDB 100 %, RAVDESS's generator, adapted", "emodb-from-ravdess", 1.0, ours, "+2.6"),
        Target("EmoDB 100 %, the same & best plain", "emodb-from-ravdess", 1.0, mixed, "+2.6"),
        Target("EmoDB 100 %, in one corpus: MISE, re-estimated", "emodb", 1.0, (OWN,), "-0.3 or more"),
        Target("EmoDB 100 %, the same & best plain", "emodb", 1.0, (OWN + WITH_PLAIN,), "-0.3 or more"),
        Target("RAVDESS 100 %, in one corpus: MISE, re-estimated", "ravdess", 1.0, (OWN,), "-0.3 or more"),
        Target("RAVDESS 100 %, the same & best plain", "ravdess", 1.0, (OWN + WITH_PLAIN,), "-0.3 or more"),
        Target(
            "EmoDB, fear cut to 10 %: RAVDESS's generator, adapted",
            "emodb-rare-fear-transfer",
            1.0,
            (generator_name(WEIGHTS[0], 0),),
            "recall +8, UAR kept",
        ),
    ]
    first = "EmoDB 30 %, in one corpus: MISE, re-estimated less"
    for control in (MEAN, "SMOTE", "mixup", "class Gaussian", OWN_GAUSSIAN):
        rows.append(Target(f"{first} {control}", "emodb", 0.3, (OWN,), "above", (control,)))
    return rows


def read(folder: Path, share: float) -> pd.DataFrame | None:
    """Predictions of one share, of the draws that have all their folds; None where there are none."""
    paths = sorted((folder / CELLS).glob(f"share-{share:g}_*.parquet"))
    if not paths:
        return None
    frame = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    folds = frame.groupby("seed")["fold"].nunique()
    whole = frame[frame["seed"].isin(folds[folds == SPEAKER_FOLDS].index)]
    return whole if len(whole) else None


def mean_uar(frame: pd.DataFrame, methods: Sequence[str]) -> float:
    """Over methods and draws, in percent."""
    parts = frame[frame["method"].isin(methods)].groupby(["method", "seed"])
    return 100 * float(np.mean([unweighted_average_recall(part["label"], part["prediction"]) for _, part in parts]))


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the --out of benchmarks/augmentation.py")
    parser.add_argument("--generators", type=int, default=10, help="generator seeds of each MI weight")
    args = parser.parse_args()
    rows: list[dict] = []
    for target in targets(args.generators):
        frame = read(args.out / target.study, target.share)
        if frame is None:
            rows.append({"setting": target.setting, "goal": target.goal, "found": "not run"})
            continue
        found = contrast(frame, list(target.methods), list(target.against))
        row = {
            "setting": target.setting,
            "goal": target.goal,
            "against": f"{mean_uar(frame, target.against):.1f}",
            "UAR": f"{mean_uar(frame, target.methods):.1f}",
            "found": f"{100 * found['difference']:+.1f}",
            "p": found["p"],
            "draws": frame["seed"].nunique(),
        }
        if "recall" in target.goal:
            fear = load_embedded("emodb").label_names.index("fear")
            recalls = [100 * recall_of(frame, methods[0], fear) for methods in (target.against, target.methods)]
            row["found"] += f"; recall {recalls[0]:.1f} -> {recalls[1]:.1f}"
        rows.append(row)
    tested = [row for row in rows if "p" in row]
    for row, corrected in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p"], row["p (Holm)"] = f"{row['p']:.2g}", f"{corrected:.2g}"
    columns = ["setting", "goal", "against", "UAR", "found", "p", "p (Holm)", "draws"]
    lines = [
        "# What was asked, and what was found",
        "",
        f"Command: `python benchmarks/targets.py --out DIR`, DIR of `benchmarks/augmentation.py`. {args.generators}",
        "generator seeds of each MI weight in the transfers, conditional on the folds. UAR in %, unseen speakers; p by",
        "swapping predictions speaker by speaker, Holm over this table.",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(str(row.get(column, "")) for column in columns) + " |" for row in rows),
    ]
    text = "\n".join(lines) + "\n"
    (RESULTS / "targets.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
