"""From per-row predictions to the table: UAR with its spread over folds, paired difference and p-value."""

from typing import Any

import numpy as np
import pandas as pd

from mise_hf.benchmark.statistics import swap_test, unweighted_average_recall

COLUMNS = ("scene", "share", "fold", "seed", "method", "id", "speaker", "label", "prediction")


def prediction_rows(
    scene: str, share: float, fold: int, test: Any, predictions: dict[str, np.ndarray], seed: int = 0
) -> pd.DataFrame:
    """Long table (methods * rows, COLUMNS) of one cell; `test` is the `FeatureTable` of its test rows."""
    parts = [
        pd.DataFrame(
            {
                "scene": scene,
                "share": share,
                "fold": fold,
                "seed": seed,
                "method": method,
                "id": test.ids,
                "speaker": test.speakers,
                "label": test.labels,
                "prediction": predicted,
            }
        )
        for method, predicted in predictions.items()
    ]
    return pd.concat(parts, ignore_index=True)


def summarise(frame: pd.DataFrame, baseline: str) -> dict[str, dict[str, Any]]:
    """One entry a method: pooled UAR, mean and standard deviation over folds, difference to `baseline` and its p.

    Args:
        frame: predictions of one scene and share.
        baseline: the method that the others are compared with.
    """
    reference = frame[frame["method"] == baseline].sort_values("id")
    labels, speakers = reference["label"].to_numpy(), reference["speaker"].to_numpy()
    out = {}
    for method in dict.fromkeys(frame["method"]):
        rows = frame[frame["method"] == method].sort_values("id")
        folds = [
            unweighted_average_recall(part["label"].to_numpy(), part["prediction"].to_numpy())
            for _, part in rows.groupby("fold")
        ]
        predicted = rows["prediction"].to_numpy()
        entry: dict[str, Any] = {
            "uar": unweighted_average_recall(labels, predicted),
            "uar_mean": float(np.mean(folds)),
            "uar_std": float(np.std(folds, ddof=1)) if len(folds) > 1 else None,
            "uar_folds": folds,
        }
        if method != baseline:
            paired = swap_test(labels, speakers, predicted, reference["prediction"].to_numpy())
            entry |= {"difference": paired.difference, "p_value": paired.p_value}
        out[method] = entry
    return out
