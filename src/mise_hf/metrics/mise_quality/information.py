"""The front door: mutual information of labels and vectors, and what a generator carries. Imports siblings only.

Every figure is in nats unless `base` is given, is cross-fitted (no row is scored by a model that saw it), and comes
as an `Information`. All draws come from `seed`: same input and seed, same result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .checks import as_codes, as_matrix, check_classes, check_columns, check_count, check_rows
from .crossfit import canonical_codes, canonical_order
from .label_bounds import entropy_of, held_out_scores, mean_and_error
from .linear_classifier import fit_linear
from .result import Information, for_display, in_base
from .vector_bounds import vector_scores


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

    H(c) minus the cross-entropy of a calibrated classifier on rows (with `groups`: on groups) it has not seen.

    Args:
        labels: (rows,) names or whole numbers.
        features: (rows, columns).
        groups: (rows,), e.g. speakers; whole groups are held out together, so that telling the speakers apart is not
            taken for emotion.
        n_permutations: labels are shuffled and everything refitted this many times for `null_mean` and `null_95`.
        seed: of the folds and the permutations.
        base: 2 for bits; None for nats.

    Raises:
        ValueError: unusable input (too few rows, NaN, one class, unequal lengths, ...); the message says what to do.
    """
    n_permutations, seed = check_count("n_permutations", n_permutations, 0), check_count("seed", seed, 0)
    h, codes, group_codes = prepared(features, labels, groups)
    started = time.perf_counter()
    scores = held_out_scores(codes, h, group_codes, np.random.default_rng(seed))
    raw, stderr = mean_and_error(scores, group_codes)
    seconds = time.perf_counter() - started

    def refit(rng: np.random.Generator) -> float:
        shuffled = rng.permutation(codes) if group_codes is None else shuffled_within(codes, group_codes, rng)
        return float(held_out_scores(shuffled, h, group_codes, rng).mean())

    return packed(raw, stderr, "linear", entropy_of(codes), len(h), seconds, base, refit, n_permutations, seed)


def vector_information(
    x: Any, y: Any, *, n_permutations: int = 0, seed: int = 0, base: float | None = None
) -> Information:
    """I(x; y) of two vectors.

    Args:
        x: (rows, X).
        y: (rows, Y).
        n_permutations: the rows of `y` are shuffled and everything refitted this many times.
        seed: of the folds and the permutations.
        base: 2 for bits; None for nats.

    Raises:
        ValueError: unusable input; the message says what to do.
    """
    n_permutations, seed = check_count("n_permutations", n_permutations, 0), check_count("seed", seed, 0)
    a, b = as_matrix("x", x), as_matrix("y", y)
    check_rows(x=a, y=b)
    order = canonical_order(a, b)
    a, b = a[order], b[order]
    started = time.perf_counter()
    raw, shares, method = vector_scores(a, b)
    _, stderr = mean_and_error(shares, None)
    seconds = time.perf_counter() - started

    def refit(rng: np.random.Generator) -> float:
        return vector_scores(a, b[rng.permutation(len(b))])[0]

    return packed(raw, stderr, method, math.nan, len(a), seconds, base, refit, n_permutations, seed)


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
    """I((c, x); y) = I(c; y) + I(x; y | c), e.g. of (emotion, text) and speech.

    Args:
        labels: (rows,) names or whole numbers, c.
        x: (rows, X), e.g. text embeddings.
        y: (rows, Y), e.g. speech features.
        groups: (rows,), held out together in the label's term.
        n_permutations: the rows of `y` are shuffled and everything refitted this many times.
        seed: of the folds and the permutations.
        base: 2 for bits; None for nats.

    Raises:
        ValueError: unusable input; the message says what to do.
    """
    n_permutations, seed = check_count("n_permutations", n_permutations, 0), check_count("seed", seed, 0)
    b, codes, group_codes = prepared(y, labels, groups)
    a = as_matrix("x", x)
    check_rows(x=a, y=b)
    a = a[canonical_order(as_matrix("y", y))]
    started = time.perf_counter()
    raw, shares, method = joint_scores(codes, a, b, group_codes, np.random.default_rng(seed))
    _, stderr = mean_and_error(shares, group_codes)
    seconds = time.perf_counter() - started

    def refit(rng: np.random.Generator) -> float:
        return joint_scores(codes, a, b[rng.permutation(len(b))], group_codes, rng)[0]

    return packed(raw, stderr, method, math.nan, len(a), seconds, base, refit, n_permutations, seed)


def joint_scores(codes: np.ndarray, x: np.ndarray, y: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator):
    """I(c; y) + I(x; y | c) in nats, each row's share (rows,), and the method; the classes share one copula."""
    of_label = held_out_scores(codes, y, groups, rng)
    raw, shares, method = vector_scores(within_class(x, codes), within_class(y, codes))
    return float(of_label.mean()) + raw, of_label + shares, f"linear + {method} within the classes"


def within_class(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """`x` (rows, columns) less the mean of its class."""
    out = np.array(x, dtype=np.float64)
    for code in np.unique(codes):
        out[codes == code] -= out[codes == code].mean(axis=0)
    return out


def carried_information(
    synthetic: Any,
    synthetic_labels: Any,
    real: Any,
    real_labels: Any,
    groups: Any = None,
    *,
    n_permutations: int = 0,
    seed: int = 0,
    base: float | None = None,
) -> Information:
    """H(c) of the real rows minus their cross-entropy under a calibrated classifier fitted on the synthetic rows only.

    What a generator teaches about real emotion. A generator collapsed to one point a class, or trained on shuffled
    labels, has high I(c; h_hat) on its own rows and low or negative carried information.

    Args:
        synthetic: (rows, columns), generated features.
        synthetic_labels: (rows,) the labels they were generated for.
        real: (rows', columns), real features of unseen speakers.
        real_labels: (rows',).
        groups: (rows',), speakers of the real rows: the standard error then counts speakers, not rows.
        n_permutations: synthetic labels are shuffled and the classifier refitted this many times.
        seed: of the permutations.
        base: 2 for bits; None for nats.

    Raises:
        ValueError: unusable input, or no label in common; the message says what to do.
    """
    n_permutations, seed = check_count("n_permutations", n_permutations, 0), check_count("seed", seed, 0)
    started = time.perf_counter()
    fake, held = as_matrix("synthetic", synthetic, 4), as_matrix("real", real, 2)
    check_columns("synthetic", fake, "real", held)
    fake_codes, fake_names = as_codes("synthetic_labels", synthetic_labels, len(fake))
    real_codes, real_names = as_codes("real_labels", real_labels, len(held))
    names = [str(name) for name in real_names]
    if not set(names) & {str(name) for name in fake_names}:
        raise ValueError(f"no label in common: synthetic {list(fake_names)}, real {names}; use the same names")
    group_codes = None if groups is None else as_codes("groups", groups, len(held))[0]
    every = sorted({str(name) for name in fake_names} | set(names))
    fake_codes = np.array([every.index(str(name)) for name in fake_names])[fake_codes]
    real_codes = np.array([every.index(name) for name in names])[real_codes]
    order = canonical_order(fake)
    fake, fake_codes = fake[order], fake_codes[order]
    scores = transferred_scores(fake, fake_codes, held, real_codes, len(every))
    raw, stderr = mean_and_error(scores, group_codes)
    seconds = time.perf_counter() - started

    def refit(rng: np.random.Generator) -> float:
        return float(transferred_scores(fake, rng.permutation(fake_codes), held, real_codes, len(every)).mean())

    method = "calibrated ridge classifier fitted on the synthetic rows, scored on the real rows"
    entropy = entropy_of(real_codes)
    return packed(raw, stderr, method, entropy, len(held), seconds, base, refit, n_permutations, seed)


def transferred_scores(
    fitted_on: np.ndarray, fitted_codes: np.ndarray, scored: np.ndarray, scored_codes: np.ndarray, classes: int
) -> np.ndarray:
    """log q(c | h) - log p(c) (rows,) in nats for the scored rows, q fitted on the other set, p(c) the scored rows'."""
    log_proba = fit_linear(fitted_on, fitted_codes, classes).log_proba(scored)
    p = np.bincount(scored_codes, minlength=classes) / len(scored_codes)
    return log_proba[np.arange(len(scored)), scored_codes] - np.log(p[scored_codes])


def pointwise_label_information(labels: Any, features: Any, *, groups: Any = None, seed: int = 0) -> np.ndarray:
    """log q(c | h) - log p(c) of each row (rows,) in nats, by a classifier that has not seen the row.

    Arguments and errors as for `label_information`; its raw value is the mean of these scores.
    """
    seed = check_count("seed", seed, 0)
    h, codes, group_codes = prepared(features, labels, groups)
    scores = held_out_scores(codes, h, group_codes, np.random.default_rng(seed))
    out = np.empty_like(scores)
    out[canonical_order(as_matrix("features", features))] = scores
    return out


def pointwise_vector_information(x: Any, y: Any) -> np.ndarray:
    """Each row's share (rows,) of I(x; y) in nats; arguments and errors as for `vector_information`."""
    a, b = as_matrix("x", x), as_matrix("y", y)
    check_rows(x=a, y=b)
    return vector_scores(a, b)[1]


def pointwise_carried_information(synthetic: Any, synthetic_labels: Any, real: Any, real_labels: Any) -> np.ndarray:
    """Each real row's share (rows',) of the carried information in nats; see `carried_information`."""
    fake, held = as_matrix("synthetic", synthetic, 4), as_matrix("real", real, 2)
    check_columns("synthetic", fake, "real", held)
    both = np.concatenate([np.asarray(synthetic_labels).astype(str), np.asarray(real_labels).astype(str)])
    codes, names = as_codes("labels", both, len(fake) + len(held))
    return transferred_scores(fake, codes[: len(fake)], held, codes[len(fake) :], len(names))


def prepared(features: Any, labels: Any, groups: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Checked features (rows, columns), codes (rows,) and group codes in an order that depends on content alone."""
    h = as_matrix("features", features)
    codes, names = as_codes("labels", labels, len(h))
    group_codes = None if groups is None else as_codes("groups", groups, len(h))[0]
    check_classes("labels", codes, names, group_codes)
    if (h == h[0]).all():
        raise ValueError("features: every column is constant; there is nothing to measure")
    order = canonical_order(h)
    return h[order], canonical_codes(codes[order]), None if group_codes is None else canonical_codes(group_codes[order])


def shuffled_within(codes: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Codes shuffled inside each group, so that the groups keep their own class counts."""
    out = codes.copy()
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        out[rows] = codes[rng.permutation(rows)]
    return out


def packed(
    raw: float,
    stderr: float,
    method: str,
    entropy: float,
    n: int,
    seconds: float,
    base: float | None,
    refit: Callable[[np.random.Generator], float],
    n_permutations: int,
    seed: int,
) -> Information:
    """The result, with the permutation null when asked for."""
    null_mean = null_95 = math.nan
    started = time.perf_counter()
    if n_permutations:
        null = [refit(np.random.default_rng([seed, 1, i])) for i in range(n_permutations)]
        null_mean, null_95 = float(np.mean(null)), float(np.quantile(null, 0.95))
    null_seconds = time.perf_counter() - started if n_permutations else 0.0
    interval = (raw - 1.96 * stderr, raw + 1.96 * stderr)
    result = Information(
        for_display(raw, entropy), raw, stderr, interval, null_mean, null_95, method, entropy, n, seconds,
        null_seconds=null_seconds,
    )  # fmt: skip
    return in_base(result, base)
