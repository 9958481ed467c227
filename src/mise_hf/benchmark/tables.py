"""From a study's predictions to its tables: recalls with spread over seeds, paired tests, and what foretells a gain."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import f1_score, recall_score

from mise_hf.benchmark.statistics import holm, swap_test, unweighted_average_recall

MEASURES = ("carried_information", "label_information")


def study_table(frame: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """One row a method: UAR, WA and macro-F1 pooled over folds, mean and spread over seeds; difference and p-values.

    Args:
        frame: predictions of one share.
        baseline: the method that the others are compared with.

    Returns:
        Columns method, uar, uar_std, wa, f1, difference (of UAR), p, p_holm; recalls from 0 to 1.
    """
    seeds = sorted(set(frame["seed"]))
    reference = _by_seed(frame, baseline, seeds)
    labels, speakers = _truth(frame, baseline, seeds[0])
    rows = []
    for method in dict.fromkeys(frame["method"]):
        predicted = _by_seed(frame, method, seeds)
        uars = [unweighted_average_recall(labels, one) for one in predicted]
        row = {
            "method": method,
            "uar": float(np.mean(uars)),
            "uar_std": float(np.std(uars, ddof=1)) if len(uars) > 1 else float("nan"),
            "wa": float(np.mean([(one == labels).mean() for one in predicted])),
            "f1": float(np.mean([f1_score(labels, one, average="macro", zero_division=0) for one in predicted])),
            "difference": 0.0,
            "p": float("nan"),
        }
        if method != baseline:
            found = swap_test(labels, speakers, predicted, reference)
            row |= {"difference": found.difference, "p": found.p_value}
        rows.append(row)
    table = pd.DataFrame(rows)
    tested = table["p"].notna()
    table["p_holm"] = np.nan
    table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"].tolist())
    return table


def contrast(frame: pd.DataFrame, first: list[str], second: list[str]) -> dict[str, float]:
    """Paired difference of UAR of two groups of methods, e.g. a generator's seeds: pairs in order, tested together.

    Raises:
        ValueError: for groups of unequal length, unless the second has one method.
    """
    if len(second) == 1:
        second = second * len(first)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} methods against {len(second)}; wanted as many, or one")
    seeds = sorted(set(frame["seed"]))
    labels, speakers = _truth(frame, first[0], seeds[0])
    left = np.concatenate([_by_seed(frame, method, seeds) for method in first])
    right = np.concatenate([_by_seed(frame, method, seeds) for method in second])
    found = swap_test(labels, speakers, left, right)
    return {"difference": found.difference, "p": found.p_value}


def recall_of(frame: pd.DataFrame, method: str, label: int) -> float:
    """Recall of one class, mean over seeds."""
    rows = frame[frame["method"] == method]
    found = [
        recall_score(part["label"], part["prediction"], labels=[label], average="macro", zero_division=0)
        for _, part in rows.groupby("seed")
    ]
    return float(np.mean(found))


def foretelling(frame: pd.DataFrame, records: list[dict[str, Any]], methods: list[str]) -> dict[str, dict[str, float]]:
    """Spearman correlation, over generators, of each measure (mean over cells) with the generator's UAR.

    Args:
        frame: predictions of one share.
        records: of that share's cells.
        methods: one a generator.
    """
    seeds = sorted(set(frame["seed"]))
    labels, _ = _truth(frame, methods[0], seeds[0])
    uars = [
        np.mean([unweighted_average_recall(labels, one) for one in _by_seed(frame, method, seeds)])
        for method in methods
    ]
    out = {}
    for measure in MEASURES:
        values = [np.mean([record["measures"][method][measure] for record in records]) for method in methods]
        found = spearmanr(values, uars)
        out[measure] = {"rho": float(found.statistic), "p": float(found.pvalue), "generators": len(methods)}
    return out


def as_markdown(table: pd.DataFrame) -> str:
    """The table of `study_table` in percent."""
    lines = ["| method | UAR | +- seeds | WA | F1 | difference | p | p (Holm) |", "|---|---|---|---|---|---|---|---|"]
    for row in table.to_dict("records"):
        tested = np.isfinite(row["p"])
        cells = [
            row["method"],
            f"{100 * row['uar']:.1f}",
            f"{100 * row['uar_std']:.1f}" if np.isfinite(row["uar_std"]) else "",
            f"{100 * row['wa']:.1f}",
            f"{100 * row['f1']:.1f}",
            f"{100 * row['difference']:+.1f}" if tested else "",
            f"{row['p']:.2g}" if tested else "",
            f"{row['p_holm']:.2g}" if tested else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def chosen_ratios(records: list[dict[str, Any]]) -> list[str]:
    """One line a method with how often each ratio of synthetic to real rows was chosen, over the cells."""
    found: dict[str, Counter[float]] = {}
    for record in records:
        for method, choice in record["choices"].get("in corpus", {}).get("methods", {}).items():
            if "ratio" in choice:
                found.setdefault(method, Counter())[choice["ratio"]] += 1
    return [
        f"- {method}: {', '.join(f'{ratio:g} ({count})' for ratio, count in sorted(counts.items()))}"
        for method, counts in found.items()
    ]


def _truth(frame: pd.DataFrame, method: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rows = frame[(frame["method"] == method) & (frame["seed"] == seed)].sort_values("id")
    return rows["label"].to_numpy(), rows["speaker"].to_numpy()


def _by_seed(frame: pd.DataFrame, method: str, seeds: list[int]) -> np.ndarray:
    """Predictions int (seeds, rows), rows by id."""
    rows = frame[frame["method"] == method]
    return np.stack([rows[rows["seed"] == seed].sort_values("id")["prediction"].to_numpy() for seed in seeds])
