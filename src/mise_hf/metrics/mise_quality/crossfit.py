"""Which rows are scored by the model that saw which others. Imports numpy only.

Everything is decided by content, not by position: rows are put in an order of their own, so that shuffling the rows,
rescaling the columns or renaming the classes leaves every estimate as it was.
"""

from __future__ import annotations

import numpy as np

KEY_COLUMNS = 8


def canonical_order(matrix: np.ndarray, codes: np.ndarray | None = None) -> np.ndarray:
    """Order (rows,) of the rows by the content of `matrix` (rows, columns); equal rows by their class in `codes`."""
    keys = [matrix[:, j] for j in range(min(matrix.shape[1], KEY_COLUMNS))]
    order = np.lexsort(keys[::-1])
    ordered = matrix[order, : len(keys)]
    if (ordered[1:] != ordered[:-1]).any(axis=1).all():
        return order
    rest = [matrix[:, j] for j in range(matrix.shape[1])]
    if codes is not None:
        # Classes are ranked by what does not depend on their names: size, then mean of the columns.
        counts = np.bincount(codes)
        means = np.bincount(codes, weights=matrix.mean(axis=1, dtype=np.float64)) / np.maximum(counts, 1)
        rank = np.empty(len(counts), dtype=np.int64)
        rank[np.lexsort([means, counts])] = np.arange(len(counts))
        rest.append(rank[codes])
    return np.lexsort(rest[::-1])


def canonical_codes(codes: np.ndarray) -> np.ndarray:
    """Codes renumbered by first appearance, so that the names of the classes play no part."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def fold_numbers(codes: np.ndarray, folds: int, rng: np.random.Generator, groups: np.ndarray | None = None):
    """Fold of each row (rows,) in 0..folds-1: stratified by `codes`, or whole `groups` together.

    With fewer groups than folds each group is a fold of its own.
    """
    if groups is None:
        # One running count across the classes keeps the folds equal in size as well as in classes.
        shuffled = rng.permutation(len(codes))
        order = shuffled[np.argsort(codes[shuffled], kind="stable")]
        fold = np.empty(len(codes), dtype=np.int64)
        fold[order] = np.arange(len(codes)) % folds
        return fold
    sizes = np.bincount(groups)
    folds = min(folds, len(sizes))
    load = np.zeros(folds)
    home = np.empty(len(sizes), dtype=np.int64)
    for group in sorted(rng.permutation(len(sizes)), key=lambda g: -sizes[g]):
        home[group] = load.argmin()
        load[home[group]] += sizes[group]
    return home[groups]
