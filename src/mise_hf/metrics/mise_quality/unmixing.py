"""Brings each side of a pair nearer to a normal distribution without looking at the other side. Siblings only.

Whatever is done to x alone by an invertible map leaves I(x; y) as it is, so this choice needs no held-out evidence
about the dependence; it is made on non-normality alone, checked on the half of the rows it was not learnt from.
"""

from __future__ import annotations

import numpy as np

from .gaussian_copula import normal_scores

MOST_SOURCES = 32
STEPS = 200


def unmixed(x: np.ndarray, most: int | None = None) -> np.ndarray:
    """Normal scores of `x` (rows, columns), taken again after independent component analysis where that pays.

    The leading principal axes are rotated to independent components (FastICA with tanh, Hyvarinen 1999, eq. 20) and
    put through normal scores; the remaining axes stay as they are. With `most` and more columns than that, the
    `most` leading axes stand for them all.
    """
    scores = normal_scores(x)
    rows, columns = scores.shape
    if columns == 1:
        return scores
    eigenvalues, axes = np.linalg.eigh(scores.T @ scores / rows)
    keep = eigenvalues[::-1] > 1e-6 * eigenvalues[-1]
    eigenvalues, axes = eigenvalues[::-1][keep], axes[:, ::-1][:, keep]
    if most is not None and columns > most:
        eigenvalues, axes = eigenvalues[:most], axes[:, :most]
    white = scores @ (axes / np.sqrt(eigenvalues))
    # Columns that repeat each other make a singular covariance, so their axes stand for them.
    plain = scores if white.shape[1] == columns else white
    sources = min(leading_block(eigenvalues), rows // 20)
    if sources < 2:
        return plain
    learn, check = white[::2, :sources], white[1::2, :sources]
    rotation = independent_rotation(learn, np.eye(sources))
    # Under normality the excess kurtosis of fresh rows has variance 24 / rows: the sum is about chi-square.
    found = float((excess_kurtosis(check @ rotation.T) ** 2).sum()) * len(check) / 24
    if found < sources + 6 * np.sqrt(2 * sources):
        return plain
    rotation = independent_rotation(white[:, :sources], rotation)
    return np.concatenate([normal_scores(white[:, :sources] @ rotation.T), white[:, sources:]], axis=1)


def leading_block(eigenvalues: np.ndarray) -> int:
    """How many leading axes stand out: up to the widest gap in the spectrum, or MOST_SOURCES where there is none."""
    most = min(MOST_SOURCES, len(eigenvalues))
    ratios = eigenvalues[: most - 1] / eigenvalues[1:most] if len(eigenvalues) == most else (
        eigenvalues[:most] / eigenvalues[1 : most + 1]
    )  # fmt: skip
    return int(ratios.argmax()) + 1 if len(ratios) and ratios.max() > 2 else most


def independent_rotation(white: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Rotation (columns, columns) to independent components of white rows, started from `rotation`."""
    for _ in range(STEPS):
        bent = np.tanh(white @ rotation.T)
        step = bent.T @ white / len(white) - (1 - bent**2).mean(axis=0)[:, None] * rotation
        left, _, right = np.linalg.svd(step, full_matrices=False)
        turned = left @ right
        change = np.abs(np.abs((turned * rotation).sum(axis=1)) - 1).max()
        rotation = turned
        if change < 1e-4:
            break
    return rotation


def excess_kurtosis(x: np.ndarray) -> np.ndarray:
    """E z^4 - 3 of each standardised column (columns,)."""
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return (z**4).mean(axis=0) - 3
