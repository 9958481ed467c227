"""I(x; y) of two vectors. Imports numpy and siblings."""

from __future__ import annotations

import numpy as np

from .gaussian_copula import gaussian_information, normal_scores
from .linear_classifier import principal_axes

ROWS_PER_COLUMN = 4


def vector_scores(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, str]:
    """Estimate in nats, each row's share (rows,), and the method's name."""
    gx, gy = normal_scores(x), normal_scores(y)
    room = len(x) // ROWS_PER_COLUMN
    method = "Gaussian copula, debiased"
    if gx.shape[1] + gy.shape[1] > room:
        gx, gy = leading(gx, room // 2), leading(gy, room - min(room // 2, gx.shape[1]))
        method += f", {gx.shape[1]} x {gy.shape[1]} principal components"
    raw, shares = gaussian_information(gx, gy)
    return raw, shares, method


def leading(x: np.ndarray, count: int) -> np.ndarray:
    """Scores (rows, at most count) on the leading principal axes of `x` (rows, columns)."""
    centred = x - x.mean(axis=0)
    _, basis = principal_axes(centred)
    return centred @ basis[:, ::-1][:, :count]
