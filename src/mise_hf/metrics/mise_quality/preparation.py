"""From checked input to what the estimators take: canonical order, no constant columns, repeated rows as a label.

Imports numpy and siblings only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .checks import as_codes, as_matrix, check_classes, check_rows
from .crossfit import canonical_codes, canonical_order

# With fewer distinct rows than this share, a vector is a label in disguise (10 sentences, 2 sentences): an atom.
ATOM_SHARE = 5
# With few columns, distinct rows from this number on are taken for a rounded measurement.
MOST_NAMES = 30
FEW_COLUMNS = 6


@dataclass(frozen=True)
class Labelled:
    """Features (rows, columns), codes (rows,), group codes or None, and the rows' `order` in the caller's arrays."""

    features: np.ndarray
    codes: np.ndarray
    groups: np.ndarray | None
    order: np.ndarray


def labelled(labels: Any, features: Any, groups: Any, name: str = "features") -> Labelled:
    """Checked and put in canonical order."""
    h = as_matrix(name, features)
    codes, names = as_codes("labels", labels, len(h))
    group_codes = None if groups is None else as_codes("groups", groups, len(h))[0]
    check_classes("labels", codes, names, group_codes)
    h = without_constants(name, h)
    order = canonical_order(h, codes)
    groups_out = None if group_codes is None else canonical_codes(group_codes[order])
    return Labelled(h[order], canonical_codes(codes[order]), groups_out, order)


def paired(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (rows, X) and y (rows, Y) checked and in canonical order, and that order."""
    a, b = as_matrix("x", x), as_matrix("y", y)
    check_rows(x=a, y=b)
    a, b = without_constants("x", a), without_constants("y", b)
    # Either side alone may repeat its rows; the two together hardly ever do.
    order = canonical_order(np.concatenate([a[:, :4], b[:, :4], a[:, 4:], b[:, 4:]], axis=1) if ties(a) else a)
    return a[order], b[order], order


def ties(x: np.ndarray) -> bool:
    """Whether the first column of `x` (rows, columns) repeats a value."""
    return len(np.unique(x[:, 0])) < len(x)


def without_constants(name: str, x: np.ndarray) -> np.ndarray:
    """`x` (rows, columns) without its constant columns, which say nothing.

    Raises:
        ValueError: every column is constant.
    """
    varies = (x != x[0]).any(axis=0)
    if not varies.any():
        raise ValueError(f"{name}: every column is constant, so it can carry no information; check what was extracted")
    return x if varies.all() else np.ascontiguousarray(x[:, varies])


def atoms(x: np.ndarray) -> np.ndarray | None:
    """Codes (rows,) of the distinct rows of `x` when they are fewer than a fifth of the rows, else None.

    In few columns, many distinct rows are a rounded measurement rather than a name: not an atom either.
    """
    limit = len(x) / ATOM_SHARE
    if x.shape[1] <= FEW_COLUMNS:
        limit = min(limit, MOST_NAMES)
    if len(np.unique(x[:, 0])) >= limit:
        return None
    distinct, codes = np.unique(x, axis=0, return_inverse=True)
    return codes.reshape(-1) if len(distinct) < limit else None


def one_hot(codes: np.ndarray) -> np.ndarray:
    """Indicator columns (rows, K) of `codes` (rows,)."""
    return np.eye(int(codes.max()) + 1)[codes]


def merged_rare(codes: np.ndarray, least: int = 2) -> np.ndarray:
    """Codes with all classes of fewer than `least` rows merged into one, and that into the smallest other if needed."""
    counts = np.bincount(codes)
    rare = counts < least
    if not rare.any():
        return codes
    target = (
        len(counts) if counts[rare].sum() >= least else int(np.where(rare, np.iinfo(np.int64).max, counts).argmin())
    )
    return canonical_codes(np.where(rare[codes], target, codes))
