"""I(x; y) of two vectors: a debiased copula, what polynomial terms add to it, and other kinds where they win.

Imports numpy and siblings only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .assembly import Estimate
from .critic import critic_bound
from .crossfit import fold_numbers
from .gaussian_copula import gaussian_information, joint_covariance, normal_scores, quadratic
from .nearest_neighbours import MOST_COLUMNS, neighbour_shares, untied_scores
from .normalisation import overshoot
from .polynomial_terms import PolynomialRegression
from .student_copula import StudentRatio, fit_student
from .unmixing import unmixed

MOST_ROWS = 20_000
# Fewer rows a column than this and the covariance says more about the sample than about the law.
ROWS_PER_COLUMN = 4
REGRESSION_COLUMNS = 32
STUDENT_COLUMNS = 40
SHIFTS = 24
# Standard errors by which another kind must beat the Gaussian copula before it is believed.
CLEARLY = 3.0
NEARLY_SINGULAR = 1e-5
# Nats by polynomial terms above which the normal approximation around them is in doubt.
MUCH_ADDED = 0.2
# Degrees of freedom from which a Student copula is all but a Gaussian one.
NEARLY_NORMAL = 8.0
# Nats by which nearest neighbours find more in all rows than in half: about log 2 where one side determines the other.
STILL_GROWING = 0.4
# In so few columns nearest neighbours leave a critic nothing to find.
SURE_COLUMNS = 3
# Log-likelihood per row (nats) by which wild rows must be shared before a Student copula is considered.
LEAST_GAIN = 0.005


def estimate_vectors(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, *, critic: bool = True) -> Estimate:
    """I(x; y) in nats from `x` (rows, X) and `y` (rows, Y), columns without constants; `critic` may try one."""
    rows = len(x)
    cuts: list[str] = []
    note = ""
    if rows > MOST_ROWS:
        picked = np.sort(rng.permutation(rows)[:MOST_ROWS])
        x, y = x[picked], y[picked]
        note = f"; {MOST_ROWS} of {rows} rows measured"
    x, y = x.astype(np.float64), y.astype(np.float64)
    gx, gy = both_sides(x, y, cuts)
    if np.linalg.eigvalsh(joint_covariance(np.concatenate([gx, gy], axis=1)))[0] < NEARLY_SINGULAR:
        cuts.append("one side all but determines the other: the information has no finite value, this is a cap")
    found, evidence = by_copula(gx, gy, rng)
    if x.shape[1] + y.shape[1] <= min(STUDENT_COLUMNS, len(x) // ROWS_PER_COLUMN):
        fit = fit_student(x, y)
        ratio = StudentRatio(fit, x.shape[1])
        # Nearly normal, it has the Gaussian copula's faults.
        able = not found.overshot or fit.freedom < NEARLY_NORMAL
        if able and fit.gain > LEAST_GAIN and clearly(contrast(ratio) - evidence):
            student = ratio(0)
            found = Candidate(
                student - student.mean() + fit.information,
                f"Student copula, {fit.freedom:.1f} degrees of freedom (tells true pairs apart better)",
                0.05 * abs(fit.information),
            )
    if x.shape[1] + y.shape[1] <= MOST_COLUMNS:
        found = nearer(found, untied_scores(x, rng), untied_scores(y, rng))
    if critic and x.shape[1] + y.shape[1] > SURE_COLUMNS:
        found = bettered(found, for_critic(x, gx), for_critic(y, gy), np.zeros(len(x), dtype=np.int64), rng)
    flags = (*cuts, *found.flags)
    return Estimate(found.shares, found.method + note, np.nan, found.bias, found.bias, None, flags, rows)


@dataclass(frozen=True)
class Candidate:
    """One way to estimate.

    Attributes:
        shares: (rows,) in nats; their mean is the estimate.
        method: how, in words.
        bias: nats by which it may be off beyond its sampling error.
        flags: what to beware of if this one is used.
        overshot: whether a ratio was used that no density has, and the excess taken off.
    """

    shares: np.ndarray
    method: str
    bias: float
    flags: tuple[str, ...] = ()
    overshot: bool = False


def nearer(found: Candidate, x: np.ndarray, y: np.ndarray) -> Candidate:
    """`found`, or nearest neighbours in the scores `x` (rows, X) and `y` (rows, Y) where they are clearly above it."""
    near = neighbour_shares(x, y)
    if not clearly(near - found.shares):
        return found
    value = float(near.mean())
    grown = value - float(neighbour_shares(x[::2], y[::2]).mean())
    flag = f"grew by {grown:.2f} nats from half the rows to all: one side may determine the other, this is a cap"
    return Candidate(
        near,
        "nearest neighbours (clearly above the copulas)",
        0.02 * (x.shape[1] + y.shape[1] - 1) * abs(value),
        (flag,) if grown > STILL_GROWING else (),
    )


def bettered(found: Candidate, x: np.ndarray, y: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> Candidate:
    """`found`, or a critic's bound on I(x; y | c) (a lower one, and held out) where that is clearly above it."""
    bound = critic_bound(x, y, codes, rng, lambda pilot, shares: clearly(shares - found.shares[pilot]))
    if bound is None or not clearly(bound.shares - found.shares):
        return found
    method = f"cross-fitted critic (InfoNCE), clearly above {float(found.shares.mean()):.3f} by {found.method}"
    method += f"; {bound.correction:+.3f} nats for the finite training set"
    value = float(bound.shares.mean())
    added = value - float(found.shares.mean())
    flag = f"{added:.2f} nats rest on a critic's bound from below: the dependence is far from normal and may be more"
    return Candidate(
        bound.shares, method, 0.02 + bound.correction + 0.10 * value, (flag,) if added > MUCH_ADDED else ()
    )


def by_copula(gx: np.ndarray, gy: np.ndarray, rng: np.random.Generator) -> tuple[Candidate, np.ndarray]:
    """The Gaussian copula with polynomial terms, and how well it tells pairs apart (rows,).

    Where the ratio is not that of a density, the terms are left out and the excess is taken off.
    """
    raw, shares = gaussian_information(gx, gy)
    over = overshoot(gx, gy, rng)
    if over.clear:
        flag = f"far from normal: the Gaussian copula's {raw:.2f} nats are at least {over.excess:.2f} too many"
        method = f"Gaussian copula less {over.excess:.3f} nats that no density can have"
        cut = Candidate(shares - over.excess, method, over.excess, (flag,), overshot=True)
        return cut, contrast(GaussianRatio(gx, gy))
    method, bias, flags = "Gaussian copula, debiased", 0.02 * abs(raw), []
    addition = polynomial_addition(gx, gy, rng)
    if not addition.side:
        return Candidate(shares, method, bias), contrast(GaussianRatio(gx, gy))
    added = float(addition.shares.mean())
    method += f", and {added:+.3f} nats by polynomial terms of {addition.side} (held out)"
    if added > MUCH_ADDED:
        flags.append(
            f"{added:.2f} nats rest on polynomial terms: the dependence is far from normal and may be out of reach"
        )
    return Candidate(shares + addition.shares, method, bias + 0.75 * abs(added), tuple(flags)), addition.evidence


def for_critic(x: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """What the critic sees of a side (rows, at most REGRESSION_COLUMNS): `x`, or the leading axes of its `scores`."""
    if x.shape[1] <= REGRESSION_COLUMNS:
        return x
    axes = np.linalg.eigh(scores.T @ scores)[1][:, ::-1][:, :REGRESSION_COLUMNS]
    return scores @ axes


def both_sides(x: np.ndarray, y: np.ndarray, flags: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Both sides brought near to normal, cut to as many principal axes as the rows can bear; a cut adds a flag."""
    room = max(len(x) // ROWS_PER_COLUMN, 2)
    if x.shape[1] + y.shape[1] <= room:
        return unmixed(x), unmixed(y)
    of_x = min(x.shape[1], max(room // 2, room - y.shape[1]))
    of_y = min(y.shape[1], room - of_x)
    flags.append(
        f"{x.shape[1]} + {y.shape[1]} columns are too many for {len(x)} rows: measured on the leading {of_x} + {of_y} "
        "principal axes, so what the others hold is missing"
    )
    return unmixed(x, of_x), unmixed(y, of_y)


def clearly(gain: np.ndarray) -> bool:
    """Whether the mean of `gain` (rows,) is above 0 by CLEARLY standard errors."""
    return bool(gain.mean() > CLEARLY * gain.std() / np.sqrt(len(gain)))


@dataclass(frozen=True)
class Addition:
    """What polynomial terms add: nats (rows,), how well they tell pairs apart (rows,), and of which side they are."""

    shares: np.ndarray
    evidence: np.ndarray
    side: str


def polynomial_addition(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Addition:
    """What cross-fitted polynomial predictions of one side add to the Gaussian estimate.

    Two folds, each scored by terms learnt on the other and debiased on its own: pooling the folds would count the
    same chance correlation twice. The side is chosen by what the terms explain where they are learnt.
    """
    shares, evidence = np.zeros(len(x)), np.zeros(len(x))
    sides = set()
    fold = fold_numbers(np.zeros(len(x), dtype=np.int64), 2, rng)
    x, y = x[:, :REGRESSION_COLUMNS], y[:, :REGRESSION_COLUMNS]
    for k in (0, 1):
        train, test = fold != k, fold == k
        forward, backward = PolynomialRegression(x[train], y[train]), PolynomialRegression(y[train], x[train])
        model, a, b = (forward, x[test], y[test]) if forward.gain >= backward.gain else (backward, y[test], x[test])
        wide = a
        if model.models:
            wide = np.concatenate([a, normal_scores(model.predict(a))], axis=1)
        # Terms that make the ratio one that no density has would report information that is not there.
        if model.models and not overshoot(wide, b, rng).clear:
            sides.add("x" if model is forward else "y")
            shares[test] = gaussian_information(wide, b)[1] - gaussian_information(a, b)[1]
            evidence[test] = contrast(GaussianRatio(wide, b))
        else:
            evidence[test] = contrast(GaussianRatio(a, b))
    return Addition(shares, evidence, " and ".join(sorted(sides)))


class GaussianRatio:
    """log p(x, y) / (p(x) p(y)) under joint normality, for matched and mismatched rows."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        split = x.shape[1]
        covariance = joint_covariance(np.concatenate([x, y], axis=1))
        inverse = np.linalg.inv(covariance)
        x_inverse = np.linalg.inv(covariance[:split, :split])
        y_inverse = np.linalg.inv(covariance[split:, split:])
        logdet = [np.linalg.slogdet(c)[1] for c in (x_inverse, y_inverse, inverse)]
        self.constant = 0.5 * (logdet[2] - logdet[0] - logdet[1])
        self.y = y
        self.cross = x @ inverse[:split, split:]
        self.x_part = quadratic(x, inverse[:split, :split] - x_inverse)
        self.y_part = quadratic(y, inverse[split:, split:] - y_inverse)

    def __call__(self, shift: int) -> np.ndarray:
        """The log-ratio (rows,) of row i of x with row i + shift of y."""
        other = np.roll(np.arange(len(self.y)), -shift)
        cross = (self.cross * self.y[other]).sum(axis=1)
        return self.constant - 0.5 * (self.x_part + self.y_part[other] + 2 * cross)


def contrast(ratio: Callable[[int], np.ndarray]) -> np.ndarray:
    """log-probability (rows,) of picking the matched row of y among SHIFTS others (van den Oord et al. 2018, eq. 4)."""
    matched = ratio(0)
    rows = len(matched)
    others = np.stack([ratio(s) for s in np.linspace(1, rows - 1, SHIFTS).astype(int)])
    return matched - np.logaddexp.reduce(np.concatenate([matched[None], others]), axis=0)
