"""One door for "how much does this say about that?", whatever the two are. Imports its own folder only."""

from __future__ import annotations

from typing import Any

from .mise_quality.checks import to_numpy
from .mise_quality.information import label_information, vector_information
from .mise_quality.result import Information


def mutual_information(
    x: Any,
    y: Any,
    *,
    groups: Any = None,
    n_permutations: int = 0,
    seed: int = 0,
    base: float | None = None,
) -> Information:
    """I(x; y) in nats of labels and vectors, or of vectors and vectors.

    A side of one dimension that holds names or whole numbers is a label (`label_information`, either way round); two
    sides of measurements go to `vector_information`.

    Args:
        x: (rows,) labels, or (rows, X).
        y: (rows,) labels, or (rows, Y).
        groups: (rows,), e.g. speakers, held out together; only with labels.
        n_permutations: refitted permutations for the null.
        seed: of every draw.
        base: 2 for bits; None for nats.

    Raises:
        ValueError: two sides of labels, groups without labels, or unusable input; the message says what to do.
    """
    x_label, y_label = is_label(x), is_label(y)
    if x_label and y_label:
        raise ValueError("both sides are labels; give one of them as vectors (rows, columns), e.g. one-hot")
    if x_label or y_label:
        labels, features = (x, y) if x_label else (y, x)
        return label_information(labels, features, groups=groups, n_permutations=n_permutations, seed=seed, base=base)
    if groups is not None:
        raise ValueError("groups are held out where a label is predicted; between two vectors use groups=None")
    return vector_information(x, y, n_permutations=n_permutations, seed=seed, base=base)


def is_label(values: Any) -> bool:
    """Whether `values` is one-dimensional and holds names or whole numbers."""
    array = to_numpy("an argument", values)
    return array.ndim == 1 and array.dtype.kind in "iubUSO"
