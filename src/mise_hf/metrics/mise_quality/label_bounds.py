"""I(c; h) as H(c) minus the cross-entropy of a classifier on rows that it has not seen. Imports numpy and siblings.

Barber & Agakov 2003, eq. 3: a lower bound for every classifier. What a finite training set costs the classifier is
estimated from a second fit on half of it and given back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .assembly import Estimate
from .crossfit import fold_numbers
from .ensemble import CORRECTIONS, Ensemble
from .pooling import needed
from .posteriors import KINDS, heavy_tailed, kinds_for

FOLDS = 4
# Rows of a pilot: with fewer, kinds win that help only where rows are short.
PILOT_ROWS = 2048
# Of these, rows on which corrections are tried; with few columns fits are cheap, and interactions need the rows.
CORRECTED_ROWS = 900
CORRECTED_ROWS_FEW_COLUMNS = 1500
FEW_COLUMNS = 64
# Below this many rows a half, a pilot would choose by luck: every kind is then fitted, and pooled, in every fold.
LEAST_PILOT = 500
# Rows of a half's fit below which corrections, weighed on a fifth of them, would be kept by luck.
LEAST_CORRECTED = 200
MOST_TRAINING_ROWS = 16_384
# Nats of correction above which the learning curve is called unfinished.
STILL_RISING = 0.15
# 1 / (2^0.85 - 1): what remains at n rows, in units of what the second half of them brought.
RATE = 1.25


@dataclass(frozen=True)
class LabelScores:
    """Cross-fitted scores of one pass.

    Attributes:
        full: log q(c | h) - log p(c) (rows,) with q fitted on all the training rows of the fold.
        half: the same with q fitted on half of them.
        kinds: names of the kinds of classifier used.
        training_rows: rows of the largest fit.
    """

    full: np.ndarray
    half: np.ndarray
    kinds: tuple[str, ...]
    training_rows: int


def entropy_of(codes: np.ndarray) -> float:
    """Plug-in entropy H(c) of `codes` (rows,) in nats."""
    p = np.bincount(codes) / len(codes)
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def label_scores(
    codes: np.ndarray, features: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> LabelScores:
    """Scores each row by classifiers that saw neither the row nor, with `groups`, its group.

    The kinds of classifier for one half of the folds are chosen by a pilot on the other half.
    """
    classes = int(codes.max()) + 1
    fold = fold_numbers(codes, FOLDS, rng, groups)
    log_prior = np.log(np.bincount(codes, minlength=classes) / len(codes))
    full, half = np.empty(len(codes)), np.empty(len(codes))
    used: set[str] = set()
    near: dict[str, int | None] = {}
    most = 0
    for side in (0, 1):
        kinds, near = chosen_kinds(codes, features, classes, fold % 2 != side, groups, rng, near)
        for k in np.unique(fold[fold % 2 == side]):
            test = fold == k
            train = np.flatnonzero(~test)
            train = rng.permutation(train)[:MOST_TRAINING_ROWS]
            most = max(most, len(train))
            for out, part in ((full, train), (half, half_of(codes, train, groups, rng))):
                model = Ensemble(
                    features[part].astype(np.float64), codes[part], classes, kinds,
                    None if groups is None else groups[part], int(rng.integers(2**31)), near=near,
                )  # fmt: skip
                near = near | model.near
                log_proba = model.log_proba(features[test].astype(np.float64))
                out[test] = log_proba[np.arange(int(test.sum())), codes[test]] - log_prior[codes[test]]
                used.update(model.used)
    order = (*KINDS, *CORRECTIONS)
    return LabelScores(full, half, tuple(kind for kind in order if kind in used), most)


def chosen_kinds(codes, features, classes, allowed, groups, rng, near) -> tuple[tuple[str, ...], dict]:
    """Kinds that got weight in a pilot on the `allowed` rows; all of them where the rows are too few to tell.

    And where searches for a strength may start, which is `near` on the way in.
    """
    every = kinds_for(features)
    if len(codes) * (FOLDS - 1) // (2 * FOLDS) >= LEAST_CORRECTED:
        every = (*every, *CORRECTIONS)
    rows = np.flatnonzero(allowed)
    if len(rows) < LEAST_PILOT:
        return every, near
    rows = rng.permutation(rows)[:PILOT_ROWS]
    # A correction learns from few rows here: a hint is enough to try it, and every fold weighs it again.
    pilot = Ensemble(
        features[rows].astype(np.float64),
        codes[rows],
        classes,
        every,
        None if groups is None else groups[rows],
        int(rng.integers(2**31)),
        doubt=1.0,
        near=near,
        most_corrected=CORRECTED_ROWS_FEW_COLUMNS if features.shape[1] <= FEW_COLUMNS else CORRECTED_ROWS,
    )
    useful = needed([member.held_out for member in pilot.members], codes[rows], pilot.log_prior)
    kinds = tuple(pilot.names[i] for i in useful) + tuple(kind for kind in pilot.used if kind in CORRECTIONS)
    return kinds, near | pilot.near


def half_of(codes, train, groups, rng) -> np.ndarray:
    """A stratified half of the rows `train`, or half of their groups when there are at least four."""
    if groups is not None and len(np.unique(groups[train])) >= 4:
        return train[fold_numbers(codes[train], 2, rng, np.unique(groups[train], return_inverse=True)[1]) == 0]
    return train[fold_numbers(codes[train], 2, rng) == 0]


def estimate_labels(
    codes: np.ndarray, features: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> Estimate:
    """I(c; h) in nats from `codes` (rows,) and `features` (rows, columns)."""
    scores = label_scores(codes, features, groups, rng)
    entropy = entropy_of(codes)
    shares, withheld = believed(scores, extrapolated(scores, entropy))
    correction = float(shares.mean() - scores.full.mean())
    used = ", ".join(scores.kinds)
    method = f"held-out cross-entropy of {used}; {correction:+.3f} nats for the finite training set"
    flags = []
    if abs(correction) > STILL_RISING:
        flags.append(
            f"more rows would still raise the estimate: {correction:.2f} nats of it are extrapolated from half the rows"
        )
    missed = abs(correction) + withheld + 0.02 * entropy
    if set(scores.kinds) & {"products", *CORRECTIONS}:
        missed += 0.10 * entropy
    if "unmixed" in scores.kinds:
        missed += 0.08 * entropy
        flags.append("heavy-tailed columns: some information is missed unless they are mixed from independent sources")
    elif heavy_tailed(features):
        missed += 0.25 * entropy
        flags.append("heavy-tailed columns: classifiers on squashed columns may miss much of the information")
    if groups is not None and int(groups.max()) + 1 < 3:
        flags.append("two groups: each is scored by classifiers tuned on the other alone, which may be far too sure")
    if scores.training_rows < len(codes) * (FOLDS - 1) // FOLDS - len(codes) // 10:
        method += f"; fitted on {scores.training_rows} of {len(codes)} rows at a time, all rows scored"
    return Estimate(
        shares,
        method,
        entropy,
        0.5 * abs(correction) + 0.005 * entropy,
        missed,
        groups,
        tuple(flags),
        len(codes),
    )


def extrapolated(scores: LabelScores, entropy: float) -> np.ndarray:
    """Scores (rows,) with the cost of a finite training set given back, to first order.

    The cross-entropies C and C' at n and n / 2 rows approach their limit like n^-0.85 (regularised fits are a little
    slower than 1 / n; measured over ten tasks of known truth), which gives C (C / C')^RATE to first order; a product
    cannot fall below 0.
    """
    loss, loss_half = entropy - scores.full.mean(), entropy - scores.half.mean()
    if loss <= 0 or loss_half <= 0:
        return scores.full
    ratio = loss / loss_half
    # The derivative by each row's two losses keeps the mean and gives the right spread.
    of_full, of_half = (1 + RATE) * ratio**RATE, RATE * ratio ** (1 + RATE)
    return entropy - (of_full * (entropy - scores.full) - of_half * (entropy - scores.half))


def believed(scores: LabelScores, shares: np.ndarray) -> tuple[np.ndarray, float]:
    """Scores (rows,) between the plain ones and the extrapolated `shares`, and the nats not given back.

    Where the plain score is within one standard error of nothing, what is given back may raise it to 0 but no
    further: a learning curve of noise would else be taken for information. From two standard errors on all is given.
    Half the rows that did better than all of them did so by luck, and then nothing is given or taken.
    """
    mean, gain = float(scores.full.mean()), float(shares.mean() - scores.full.mean())
    if gain <= 0:
        return scores.full, 0.0
    error = max(float(scores.full.std()) / np.sqrt(len(shares)), 1e-12)
    trust = float(np.clip(mean / error - 1.0, 0.0, 1.0))
    allowed = trust * gain + (1 - trust) * min(gain, max(-mean, 0.0))
    if allowed >= gain:
        return shares, 0.0
    return scores.full + allowed / gain * (shares - scores.full), gain - allowed
