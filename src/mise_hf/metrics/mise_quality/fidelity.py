"""How faithful and how diverse synthetic rows are. Imports numpy, scipy and siblings only.

Sets of rows are compared in one feature space; nothing here looks at more than pairwise distances and moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from .checks import as_codes, as_matrix, check_columns, check_count
from .linear_classifier import fit_linear

CHUNK = 1024


@dataclass(frozen=True)
class Frechet:
    """Frechet distance (squared units of the features) at equal numbers of rows, with its floor.

    Attributes:
        distance: real against synthetic.
        floor: real against real, two disjoint halves, at the same number of rows: what a perfect generator scores.
        floor_95: 95th percentile of the floor over the splits.
        rows: rows on each side.
    """

    distance: float
    floor: float
    floor_95: float
    rows: int


@dataclass(frozen=True)
class Neighbourhood:
    """Precision, recall (Kynkaanniemi et al. 2019, eq. 2), density and coverage (Naeem et al. 2020, eqs. 3 and 6)."""

    precision: float
    recall: float
    density: float
    coverage: float


def frechet_distance(real: Any, synthetic: Any) -> float:
    """|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) of two sets (rows, columns), each with its own row count.

    Heusel et al. 2017, eq. 6. Biased upwards by small samples: compare only at equal row counts (see `frechet`).

    Raises:
        ValueError: unusable matrices or unequal columns.
    """
    a, b = pair(real, synthetic)
    return _frechet(a, b)


def frechet(real: Any, synthetic: Any, *, n_splits: int = 5, seed: int = 0) -> Frechet:
    """The distance and its real-against-real floor, all at the same number of rows: half of the smaller set.

    Args:
        real: (rows, columns).
        synthetic: (rows', columns).
        n_splits: random halvings; distance and floor are means over them.
        seed: of the halvings.

    Raises:
        ValueError: unusable matrices, unequal columns, or fewer than 8 rows on a side.
    """
    a, b = pair(real, synthetic, 8)
    n_splits, seed = check_count("n_splits", n_splits, 1), check_count("seed", seed, 0)
    rows = min(len(a) // 2, len(b))
    rng = np.random.default_rng(seed)
    distances, floors = [], []
    for _ in range(n_splits):
        mixed = rng.permutation(len(a))
        first, second = a[mixed[:rows]], a[mixed[rows : 2 * rows]]
        distances.append(_frechet(first, b[rng.permutation(len(b))[:rows]]))
        floors.append(_frechet(first, second))
    return Frechet(float(np.mean(distances)), float(np.mean(floors)), float(np.quantile(floors, 0.95)), rows)


def _frechet(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    shift = float(((a.mean(0) - b.mean(0)) ** 2).sum())
    x = (a - a.mean(0)) / np.sqrt(len(a) - 1)
    y = (b - b.mean(0)) / np.sqrt(len(b) - 1)
    # tr (S S')^(1/2) is the sum of the singular values of X Y': no matrix square root, and exact at low rank.
    if x.shape[1] < min(len(x), len(y)):
        x_root, y_root = np.asarray(np.linalg.qr(x, mode="r")), np.asarray(np.linalg.qr(y, mode="r"))
        overlap = np.linalg.norm(x_root @ y_root.T, ord="nuc")
    else:
        overlap = np.linalg.norm(x @ y.T, ord="nuc")
    return shift + float((x**2).sum() + (y**2).sum() - 2 * overlap)


def neighbourhood(real: Any, synthetic: Any, *, k: int = 5) -> Neighbourhood:
    """Precision, recall, density and coverage with k-nearest-neighbour balls (Euclidean), as the package `prdc`.

    Args:
        real: (rows, columns).
        synthetic: (rows', columns).
        k: neighbours, itself not counted.

    Raises:
        ValueError: unusable matrices, unequal columns, or not more than `k` rows on a side.
    """
    k = check_count("k", k, 1)
    a, b = pair(real, synthetic, k + 1)
    radius_a, radius_b = kth_distance(a, k), kth_distance(b, k)
    in_real = np.zeros(len(b), dtype=np.int64)
    recalled = np.zeros(len(a), dtype=bool)
    nearest = np.empty(len(a))
    for start in range(0, len(a), CHUNK):
        rows = slice(start, start + CHUNK)
        distance = distances(a[rows], b)
        in_real += (distance < radius_a[rows, None]).sum(axis=0)
        recalled[rows] = (distance < radius_b).any(axis=1)
        nearest[rows] = distance.min(axis=1)
    return Neighbourhood(
        precision=float((in_real > 0).mean()),
        recall=float(recalled.mean()),
        density=float(in_real.sum() / (k * len(b))),
        coverage=float((nearest < radius_a).mean()),
    )


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances (rows of a, rows of b), by the subtraction itself where rounding could hide a copy."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    doubtful = squares < 1e-6 * ((a**2).sum(1)[:, None] + (b**2).sum(1))
    if doubtful.any():
        i, j = np.nonzero(doubtful)
        squares[i, j] = ((a[i] - b[j]) ** 2).sum(1)
    return np.sqrt(np.maximum(squares, 0.0))


def kth_distance(x: np.ndarray, k: int) -> np.ndarray:
    """Distance (rows,) from each row to its k-th nearest other row."""
    out = np.empty(len(x))
    for start in range(0, len(x), CHUNK):
        block = distances(x[start : start + CHUNK], x)
        out[start : start + CHUNK] = np.partition(block, k, axis=1)[:, k]
    return out


def vendi_score(rows: Any) -> float:
    """Effective number of distinct rows: exp of the entropy of the eigenvalues of K / n, K the cosine similarities.

    Friedman & Dieng 2023, eq. 2: 1 when all rows point one way, n when all are orthogonal.

    Args:
        rows: (rows, columns); centre them first if a common offset should not count as likeness.

    Raises:
        ValueError: unusable matrix, or a row of zeros.
    """
    x = as_matrix("rows", rows, 2).astype(np.float64)
    norms = np.linalg.norm(x, axis=1)
    if (norms == 0).any():
        raise ValueError(f"rows: row {int(np.flatnonzero(norms == 0)[0])} is all zeros and has no direction; drop it")
    x = x / norms[:, None]
    gram = x @ x.T if len(x) < x.shape[1] else x.T @ x
    w = np.linalg.eigvalsh(gram / len(x))
    w = w[w > 1e-12]
    return float(np.exp(-(w * np.log(w)).sum()))


def transfer_recall(fitted_on: Any, fitted_labels: Any, scored: Any, scored_labels: Any) -> float:
    """Unweighted average recall (0 to 1) on the second set of a classifier fitted on the first.

    Synthetic then real: train on synthetic, test on real; the other way round: train on real, test on synthetic.

    Raises:
        ValueError: unusable matrices, unequal columns, or wrong numbers of labels.
    """
    a, b = as_matrix("fitted_on", fitted_on, 4), as_matrix("scored", scored, 2)
    check_columns("fitted_on", a, "scored", b)
    a_codes, a_names = as_codes("fitted_labels", fitted_labels, len(a))
    b_codes, b_names = as_codes("scored_labels", scored_labels, len(b))
    every = sorted({str(n) for n in a_names} | {str(n) for n in b_names})
    a_codes = np.array([every.index(str(n)) for n in a_names])[a_codes]
    b_codes = np.array([every.index(str(n)) for n in b_names])[b_codes]
    model = fit_linear(a, a_codes, len(every))
    # The prior of the fitted set is no evidence: recall is averaged over classes of equal weight.
    guess = (model.log_proba(b) - np.log(model.prior)).argmax(axis=1)
    return float(np.mean([(guess[b_codes == c] == c).mean() for c in np.unique(b_codes)]))


def pair(real: Any, synthetic: Any, min_rows: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Both matrices checked, as float64, in the same feature space."""
    a, b = as_matrix("real", real, min_rows), as_matrix("synthetic", synthetic, min_rows)
    check_columns("real", a, "synthetic", b)
    return a.astype(np.float64), b.astype(np.float64)


def nearest_distance(x: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Distance (rows,) from each row of `x` to its nearest row of `reference`."""
    return np.concatenate([cdist(x[i : i + CHUNK], reference).min(axis=1) for i in range(0, len(x), CHUNK)])
