"""From an estimate to an `Information`: display value, interval, permutation null, unit. Imports siblings only."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np

from .checks import check_count
from .result import Information, for_display, in_base


@dataclass(frozen=True)
class Estimate:
    """What an estimator found, in nats.

    Attributes:
        shares: (rows,), each row's share; their mean is the estimate.
        method: the kind of estimator used and why.
        entropy: H(c) where a label caps the information, NaN elsewhere.
        bias_down: how much too high the estimate may be beyond its sampling error.
        bias_up: how much too low.
        groups: (rows,) codes that the standard error counts instead of rows, or None.
        flags: what to beware of.
        rows: rows handed in (shares may cover fewer).
    """

    shares: np.ndarray
    method: str
    entropy: float
    bias_down: float
    bias_up: float
    groups: np.ndarray | None
    flags: tuple[str, ...]
    rows: int

    def noted(self, note: str) -> Estimate:
        """The same with a note in front of the method."""
        return replace(self, method=f"{note}; {self.method}")

    def plus(self, other: Estimate, note: str) -> Estimate:
        """The sum of two estimates on the same rows; the sum of a label's and a vector's has no known ceiling."""
        same = len(self.shares) == len(other.shares)
        return Estimate(
            self.shares + other.shares if same else self.shares + other.shares.mean(),
            f"{self.method}; {note}{other.method}",
            math.nan,
            self.bias_down + other.bias_down,
            self.bias_up + other.bias_up,
            self.groups,
            self.flags + other.flags,
            self.rows,
        )


@dataclass(frozen=True)
class Options:
    """Checked options that every public estimator takes."""

    n_permutations: int
    seed: int
    base: float | None

    def rng(self) -> np.random.Generator:
        """The generator of the estimate itself."""
        return np.random.default_rng(self.seed)


def checked_options(n_permutations: int, seed: int, base: float | None) -> Options:
    """Raises ValueError for a negative or fractional count or seed, or a base that is no number above 1."""
    if base is not None and (isinstance(base, bool) or not isinstance(base, Real) or not 1 < base < math.inf):
        raise ValueError(f"base={base!r}; give None for nats or a number above 1 (2 for bits)")
    base = None if base is None else float(base)
    return Options(check_count("n_permutations", n_permutations, 0), check_count("seed", seed, 0), base)


def assembled(estimate: Callable[[np.random.Generator, bool], Estimate], options: Options) -> Information:
    """Runs `estimate(rng, shuffle)` once as it is and `n_permutations` times shuffled, each refitted."""
    started = time.perf_counter()
    found = estimate(options.rng(), False)
    raw, stderr = mean_and_error(found.shares, found.groups)
    seconds = time.perf_counter() - started
    null_mean = null_95 = math.nan
    started = time.perf_counter()
    if options.n_permutations:
        generators = (np.random.default_rng([options.seed, 1, i]) for i in range(options.n_permutations))
        null = [float(estimate(rng, True).shares.mean()) for rng in generators]
        null_mean, null_95 = float(np.mean(null)), float(np.quantile(null, 0.95))
    null_seconds = time.perf_counter() - started if options.n_permutations else 0.0
    highest = raw + 1.96 * stderr + found.bias_up
    if math.isfinite(found.entropy):
        highest = min(highest, found.entropy)
    result = Information(
        value=for_display(raw, found.entropy),
        raw=raw,
        stderr=stderr,
        interval=(raw - 1.96 * stderr - found.bias_down, highest),
        null_mean=null_mean,
        null_95=null_95,
        method=found.method,
        entropy=found.entropy,
        n=found.rows,
        seconds=seconds,
        bias=max(found.bias_down, found.bias_up),
        null_seconds=null_seconds,
        flags=found.flags,
    )
    return in_base(result, options.base)


def mean_and_error(shares: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    """Mean of the shares and its standard error; with groups from the spread of the groups' sums."""
    mean = float(shares.mean())
    if groups is None:
        return mean, float(shares.std(ddof=1) / np.sqrt(len(shares)))
    sums = np.bincount(groups, weights=shares - mean)
    return mean, float(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / len(shares))
