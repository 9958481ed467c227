"""The front door: mutual information of labels and vectors. Imports siblings only.

Every figure is in nats unless `base` is given, is cross-fitted (no row is scored by a model that saw it), and comes
as an `Information`. All draws come from `seed`: same input and seed, same result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .assembly import Estimate, assembled, checked_options
from .checks import as_matrix, check_rows
from .conditional import estimate_within, within_class
from .label_bounds import estimate_labels
from .preparation import atoms, labelled, merged_rare, one_hot, paired, without_constants
from .result import Information
from .vector_bounds import MOST_ROWS, estimate_vectors

# Rows that each pair of label and repeated row needs on average before the pair is treated as a label.
ROWS_PER_PAIR = 20


def label_information(
    labels: Any,
    features: Any,
    *,
    groups: Any = None,
    n_permutations: int = 0,
    seed: int = 0,
    base: float | None = None,
) -> Information:
    """I(c; h): how much the features say about the label; never more than H(c).

    H(c) minus the cross-entropy of calibrated classifiers on rows (with `groups`: on groups) they have not seen
    (Barber & Agakov 2003, eq. 3), with the estimated cost of the finite training set given back.

    Args:
        labels: (rows,) names or whole numbers.
        features: (rows, columns).
        groups: (rows,), e.g. speakers; whole groups are held out together, so that telling the speakers apart is not
            taken for emotion.
        n_permutations: labels are shuffled (within groups, if given) and everything refitted this many times, for
            `null_mean` and `null_95`.
        seed: of the folds, the networks and the permutations.
        base: 2 for bits; None for nats.

    Raises:
        ValueError: unusable input (too few rows, NaN, one class, unequal lengths, ...); the message says what to do.
    """
    options = checked_options(n_permutations, seed, base)
    data = labelled(labels, features, groups)

    def estimate(rng: np.random.Generator, shuffle: bool) -> Estimate:
        codes = shuffled(data.codes, data.groups, rng) if shuffle else data.codes
        return estimate_labels(codes, data.features, data.groups, rng)

    return assembled(estimate, options)


def vector_information(
    x: Any, y: Any, *, n_permutations: int = 0, seed: int = 0, base: float | None = None
) -> Information:
    """I(x; y) of two vectors.

    A debiased Gaussian copula, plus what cross-fitted polynomial terms add; a Student copula, nearest neighbours or a
    cross-fitted critic where held-out evidence is clearly on their side. A side with fewer distinct rows than a fifth
    of the rows (repeated sentences) is treated as a label, and I(x; y) is then at most its entropy.

    Args:
        x: (rows, X).
        y: (rows, Y).
        n_permutations: the rows of `y` are shuffled and everything refitted this many times.
        seed: of the folds and the permutations.
        base: 2 for bits; None for nats.

    Raises:
        ValueError: unusable input; the message says what to do.
    """
    options = checked_options(n_permutations, seed, base)
    a, b, _ = paired(x, y)

    def estimate(rng: np.random.Generator, shuffle: bool) -> Estimate:
        return estimate_pair(a, b[rng.permutation(len(b))] if shuffle else b, rng)

    return assembled(estimate, options)


def joint_information(
    labels: Any,
    x: Any,
    y: Any,
    *,
    groups: Any = None,
    n_permutations: int = 0,
    seed: int = 0,
    base: float | None = None,
) -> Information:
    """I((c, x); y) = I(c; y) + I(x; y | c), e.g. of (emotion, text) with speech.

    The second term is measured once with one law of dependence for all classes, on both sides less their class means,
    and once class by class; the latter counts where it is clearly more, and a critic that is told the class where it
    finds clearly more still. A repeated x (an atom) is joined to the label instead, given 20 rows for each pair of
    them, and a label of its own otherwise.

    Args:
        labels: (rows,) names or whole numbers, c.
        x: (rows, X), e.g. text embeddings.
        y: (rows, Y), e.g. speech features.
        groups: (rows,), held out together in the label's term.
        n_permutations: the rows of `y` are shuffled and everything refitted this many times.
        seed: of the folds, the networks and the permutations.
        base: 2 for bits; None for nats.

    Raises:
        ValueError: unusable input; the message says what to do.
    """
    options = checked_options(n_permutations, seed, base)
    data = labelled(labels, y, groups, "y")
    a = as_matrix("x", x)
    check_rows(x=a, y=data.features)
    a = without_constants("x", a)[data.order]

    def estimate(rng: np.random.Generator, shuffle: bool) -> Estimate:
        order = rng.permutation(len(a)) if shuffle else slice(None)
        return estimate_joint(data.codes, a, data.features[order], data.groups, rng)

    return assembled(estimate, options)


def pointwise_label_information(labels: Any, features: Any, *, groups: Any = None, seed: int = 0) -> np.ndarray:
    """Each row's share (rows,) of I(c; h) in nats, by classifiers that have not seen the row.

    Arguments and errors as for `label_information`; its raw value is the mean of these shares.
    """
    options = checked_options(0, seed, None)
    data = labelled(labels, features, groups)
    return in_callers_order(estimate_labels(data.codes, data.features, data.groups, options.rng()).shares, data.order)


def pointwise_vector_information(x: Any, y: Any, *, seed: int = 0) -> np.ndarray:
    """Each row's share (rows,) of I(x; y) in nats; the raw value of `vector_information` is their mean.

    Raises:
        ValueError: as `vector_information`, and for more rows than are measured (20,000).
    """
    options = checked_options(0, seed, None)
    a, b, order = paired(x, y)
    if len(a) > MOST_ROWS:
        raise ValueError(f"{len(a)} rows, of which {MOST_ROWS} would be measured; give the rows you want scores for")
    return in_callers_order(estimate_pair(a, b, options.rng()).shares, order)


def in_callers_order(shares: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Undoes the canonical order."""
    out = np.empty_like(shares)
    out[order] = shares
    return out


def estimate_pair(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Estimate:
    """Vectors against vectors, or a label where one side (the one with fewer distinct rows) repeats itself."""
    x_atoms, y_atoms = atoms(x), atoms(y)
    if x_atoms is not None and (y_atoms is None or x_atoms.max() <= y_atoms.max()):
        codes, name, other = x_atoms, "x", y if y_atoms is None else one_hot(y_atoms)
    elif y_atoms is not None:
        codes, name, other = y_atoms, "y", x if x_atoms is None else one_hot(x_atoms)
    else:
        return estimate_vectors(x, y, rng)
    note = f"{name} repeats {int(codes.max()) + 1} distinct rows and is treated as a label"
    return estimate_labels(merged_rare(codes), other, None, rng).noted(note)


def estimate_joint(
    codes: np.ndarray, x: np.ndarray, y: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> Estimate:
    """I(c; y) + I(x; y | c), or I of the pair (c, atom of x) where x repeats itself and the pairs are common enough."""
    x_atoms = atoms(x)
    if x_atoms is not None and len(codes) >= ROWS_PER_PAIR * len(np.unique(np.stack([codes, x_atoms]), axis=1).T):
        both = merged_rare(np.unique(np.stack([codes, x_atoms]), axis=1, return_inverse=True)[1].reshape(-1))
        note = f"x repeats {int(x_atoms.max()) + 1} distinct rows; (label, row) is treated as one label"
        return estimate_labels(both, y, groups, rng).noted(note)
    of_label = estimate_labels(codes, y, groups, rng)
    if x_atoms is None:
        return of_label.plus(estimate_within(codes, x, y, rng), "within the classes: ")
    rest = estimate_labels(merged_rare(x_atoms), within_class(y, codes), groups, rng)
    return of_label.plus(rest, "within the classes: ")


def shuffled(codes: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Codes shuffled, inside each group when there are groups, so that these keep their own class counts."""
    if groups is None:
        return rng.permutation(codes)
    out = codes.copy()
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        out[rows] = codes[rng.permutation(rows)]
    return out
