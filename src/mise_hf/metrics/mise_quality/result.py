"""What every information estimate hands back, and the change of unit. Imports siblings only."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from html import escape

from .drawing import bar, table


@dataclass(frozen=True)
class Information:
    """An estimate of mutual information, in nats unless `base` says otherwise.

    Attributes:
        value: for display: `raw`, never below 0 and never above `entropy`.
        raw: the estimate as it came; may be negative.
        stderr: standard error from the spread of the per-sample (with groups: per-group) scores.
        interval: (low, high) at 95 %; sampling error plus the estimated bias.
        null_mean: mean over permutations, each refitted; NaN without permutations.
        null_95: 95th percentile over permutations, each refitted; NaN without permutations.
        method: the estimator used and the held-out evidence it was chosen by.
        entropy: H(c), the ceiling where one side is a label; NaN otherwise.
        n: rows used.
        seconds: wall time of the estimate itself.
        bias: the estimated bias term inside `interval`.
        null_seconds: wall time of the permutations.
        flags: in words, why the figure should not be trusted as it stands; empty when nothing was found.
        base: "nats", or the base of the logarithm.
    """

    value: float
    raw: float
    stderr: float
    interval: tuple[float, float]
    null_mean: float
    null_95: float
    method: str
    entropy: float
    n: int
    seconds: float
    bias: float = 0.0
    null_seconds: float = 0.0
    flags: tuple[str, ...] = ()
    base: float | str = "nats"

    def _repr_html_(self) -> str:
        """What a notebook shows: the figure, its interval as a bar, how it was made and what to beware of."""
        unit = "nats" if self.base == "nats" else "bits" if self.base == 2 else f"units of log {self.base}"
        low, high = self.interval
        marks = {"ceiling H(c)": self.entropy, "null, 95 %": self.null_95}
        rows = [
            ("value", f"{self.value:.3f} {unit} (raw {self.raw:.3f})"),
            ("95 % interval", f"{low:.3f} to {high:.3f} {bar(low, self.raw, high, marks)}"),
            ("rows", f"{self.n}"),
            ("method", escape(self.method)),
        ]
        if math.isfinite(self.null_95):
            rows.insert(2, ("null", f"mean {self.null_mean:.3f}, 95 % below {self.null_95:.3f}"))
        return table([*rows, *(("beware", escape(flag)) for flag in self.flags)], "Mutual information")


def for_display(raw: float, entropy: float) -> float:
    """`raw` (nats) clipped to what mutual information can be: not negative, not above the label's entropy."""
    top = entropy if math.isfinite(entropy) else math.inf
    return min(max(raw, 0.0), top)


def in_base(result: Information, base: float | None) -> Information:
    """The same result (nats) in units of log `base`; None leaves nats.

    Raises:
        ValueError: `base` is no number above 1.
    """
    if base is None:
        return result
    if isinstance(base, bool) or not isinstance(base, int | float) or not base > 1 or not math.isfinite(base):
        raise ValueError(f"base={base!r}; give None for nats or a number above 1 (2 for bits)")
    unit = math.log(base)
    fields = ("value", "raw", "stderr", "null_mean", "null_95", "entropy", "bias")
    scaled = {name: getattr(result, name) / unit for name in fields}
    low, high = result.interval
    return replace(result, **scaled, interval=(low / unit, high / unit), base=base)
