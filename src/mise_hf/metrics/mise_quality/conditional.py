"""I(x; y | c): dependence of two vectors inside the classes, by one law for all of them or by a law for each.

Imports numpy and siblings only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .assembly import Estimate
from .gaussian_copula import normal_scores
from .preparation import one_hot
from .vector_bounds import MOST_ROWS, Candidate, bettered, clearly, estimate_vectors, for_critic

# A class with fewer rows has no law of its own to offer.
LEAST_ROWS_A_CLASS = 40


def estimate_within(codes: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Estimate:
    """I(x; y | c) in nats from `codes` (rows,), `x` (rows, X) and `y` (rows, Y).

    Either figure is free of the bias of its finite sample, so the one by class may be taken where it is higher by 3
    standard errors of the difference row by row: classes that share a law do not reach that by chance.
    """
    rows = len(codes)
    x, y = varying(x, codes), varying(y, codes)
    if not (x.shape[1] and y.shape[1]):
        nothing = "0 within the classes, where one side does not vary"
        return Estimate(np.zeros(rows), nothing, np.nan, 0.0, 0.0, None, (), rows)
    if rows > MOST_ROWS:
        picked = np.sort(rng.permutation(rows)[:MOST_ROWS])
        codes, x, y = codes[picked], x[picked], y[picked]
    a, b = within_class(x, codes), within_class(y, codes)
    shared = estimate_vectors(a, b, rng, critic=False)
    of_each = class_by_class(codes, x, y, rng)
    if of_each is None or not clearly(of_each.shares - shared.shares):
        chosen = replace(shared, method=f"one law for all classes: {shared.method}")
    else:
        note = f"a law for each class, clearly above {float(shared.shares.mean()):.3f} by one for all"
        chosen = replace(of_each, method=f"{note}: {of_each.method}")
    found = Candidate(chosen.shares, chosen.method, chosen.bias_up, chosen.flags)
    found = bettered(found, for_critic(a, normal_scores(a)), for_critic(b, normal_scores(b)), codes, rng)
    chosen = Estimate(found.shares, found.method, np.nan, found.bias, found.bias, None, found.flags, len(codes))
    if rows > MOST_ROWS:
        chosen = replace(chosen, method=f"{chosen.method}; {MOST_ROWS} of {rows} rows measured", rows=rows)
    return chosen


def class_by_class(codes: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Estimate | None:
    """Each class's own estimate, side by side; None where a class has too few rows."""
    if np.bincount(codes).min() < LEAST_ROWS_A_CLASS:
        return None
    shares = np.zeros(len(codes))
    methods: dict[str, None] = {}
    flags: dict[str, None] = {}
    bias = 0.0
    for code in range(int(codes.max()) + 1):
        rows = np.flatnonzero(codes == code)
        left, right = (side[rows][:, (side[rows] != side[rows[0]]).any(axis=0)] for side in (x, y))
        if not (left.shape[1] and right.shape[1]):
            # A side that does not vary inside the class says nothing there.
            continue
        # A class alone has too few rows for a critic to be worth its time.
        found = estimate_vectors(left, right, rng, critic=False)
        shares[rows] = found.shares
        bias += found.bias_up * len(rows) / len(codes)
        methods[found.method.split(",")[0]] = None
        flags.update(dict.fromkeys(found.flags))
    return Estimate(shares, " and ".join(methods), np.nan, bias, bias, None, tuple(flags), len(codes))


def varying(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The columns of `x` (rows, columns) that vary inside some class of `codes` (rows,)."""
    first = np.unique(codes, return_index=True)[1]
    return x[:, (x != x[first][codes]).any(axis=0)]


def within_class(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """`x` (rows, columns) less the mean of its class."""
    counts = np.bincount(codes)
    means = (one_hot(codes).T @ x) / counts[:, None]
    return x - means[codes]
