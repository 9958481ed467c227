"""`mise-hf benchmark --quick`: a small study, with the checks of `mise_hf.benchmark.sanity` planted in it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mise_hf.benchmark.modality import as_modality
from mise_hf.benchmark.place import Recipe
from mise_hf.benchmark.sanity import (
    ORACLE,
    SHUFFLED_METHODS,
    USELESS,
    Check,
    Oracle,
    Useless,
    check_planted,
    check_shuffled,
    shuffled_folder,
    with_shuffled_labels,
)
from mise_hf.benchmark.standardise import standardise
from mise_hf.benchmark.study import Plan, run_study
from mise_hf.features import FeatureTable

STUDY = "study"


def run_quick(
    table: FeatureTable, plan: Plan, out: Path, *, workers: int
) -> tuple[pd.DataFrame, list[dict[str, Any]], list[Check]]:
    """Predictions and records of the study without what was planted in it, and the checks.

    Args:
        table: the corpus.
        plan: of the small study.
        out: folder; the study and the one on shuffled labels lie below it.
        workers: processes.

    Raises:
        ValueError: as `run_study`.
    """
    whole = standardise(as_modality(table, plan.modality), plan.standardise)
    planted: dict[str, Recipe] = {ORACLE: Oracle(whole), USELESS: Useless()}
    plan = replace(plan, measure=False)
    frame, records = run_study(table, plan, out / STUDY, workers=workers, planted=planted)
    wrong = replace(plan, methods=SHUFFLED_METHODS, shares=plan.shares[:1], seeds=plan.seeds[:1])
    shuffled, _ = run_study(with_shuffled_labels(table), wrong, shuffled_folder(out), workers=workers)
    first = frame[frame["share"] == plan.shares[0]]
    said = [record for record in records if record["share"] == plan.shares[0]]
    checks = [check_shuffled(shuffled), *check_planted(first, said)]
    return frame[~frame["method"].isin(planted)], records, checks
