"""Columns that tell classes apart only two at a time, or by their spread. Imports numpy only."""

from __future__ import annotations

import numpy as np

MOST_ROWS = 2048
# Beyond this many columns the pairs outnumber what such few rows can tell.
MOST_COLUMNS = 1024


def interacting_columns(z: np.ndarray, codes: np.ndarray, most: int) -> np.ndarray:
    """Indices (at most `most`) of columns whose products differ between the classes beyond chance, the clearest first.

    Args:
        z: (rows, columns), bounded columns.
        codes: (rows,).
        most: columns wanted.
    """
    rows, columns = z.shape
    if columns > MOST_COLUMNS:
        return np.empty(0, dtype=np.int64)
    step = -(-rows // MOST_ROWS)
    codes = codes[::step]
    counts = np.bincount(codes)
    # What the class means tell is found without products.
    indicator = np.eye(len(counts))[codes]
    z = z[::step] - (indicator @ ((indicator.T @ z[::step]) / np.maximum(counts, 1)[:, None]))
    z = (z / np.maximum(z.std(axis=0), 1e-12)).astype(np.float32)
    moment, square = z.T @ z / len(z), z**2
    spread = np.sqrt(np.maximum(square.T @ square / len(z) - moment**2, 1e-6))
    score = np.zeros_like(moment)
    for code in np.flatnonzero(counts > 1):
        part = z[codes == code]
        gap = np.abs(part.T @ part / len(part) - moment) / spread
        score = np.maximum(score, gap / np.sqrt(max(1 / len(part) - 1 / len(z), 1e-12)))
    score = np.triu(score)
    # Bonferroni over pairs and classes: without any interaction one sample in twenty lets a pair in.
    threshold = np.sqrt(2 * np.log(20 * len(counts) * columns * (columns + 1) / 2))
    first, second = np.nonzero(score > threshold)
    clearest = np.argsort(-score[first, second], kind="stable")
    columns_of = np.stack([first[clearest], second[clearest]], axis=1).ravel()
    return np.array(list(dict.fromkeys(columns_of.tolist())), dtype=np.int64)[:most]
