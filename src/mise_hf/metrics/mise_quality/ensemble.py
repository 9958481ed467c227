"""One posterior out of several kinds: a pool of closed-form fits, then corrections on top. Imports siblings only.

All weights come from rows that the weighed fits left out, inside the training rows.
"""

from __future__ import annotations

import numpy as np

from .corrections import Network, Trees
from .linear_classifier import balanced_blocks
from .pooling import bends, pool_weights, pooled, promising
from .posteriors import KINDS

CORRECTIONS: dict[str, type] = {"network": Network, "trees": Trees}
# A weight below this is within the noise of its own estimate.
LEAST_WEIGHT = 0.1
VALID_SHARE = 5
# Standard errors by which bending must help: its few weights are chosen on the very rows that judge it.
CLEARLY = 3.0


class Ensemble:
    """q(c | h) of the kinds named, fitted on `features` (rows, columns) and `codes` (rows,)."""

    def __init__(
        self,
        features: np.ndarray,
        codes: np.ndarray,
        classes: int,
        kinds: tuple[str, ...],
        groups: np.ndarray | None,
        seed: int,
        doubt: float = 2.0,
        near: dict[str, int | None] | None = None,
        most_corrected: int | None = None,
    ):
        """`doubt`: standard errors by which corrections must help on rows they have not seen.

        `most_corrected`: rows, the first ones, that corrections may use (None: all).
        `near`: where each kind's search for a strength may start, as a like ensemble's `near` has it.
        """
        if groups is not None and len(np.unique(groups)) < 2:
            # One speaker of two is held out, so the other is all there is to tune on.
            groups = None
        counts = np.bincount(codes, minlength=classes)
        self.log_prior = np.log(np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum())
        names = [kind for kind in kinds if kind in KINDS]
        self.names = tuple(names)
        start = near or {}
        self.members = [KINDS[kind](features, codes, classes, groups, start.get(kind)) for kind in names]
        self.near = {kind: member.near for kind, member in zip(names, self.members, strict=True)}
        held_out = [member.held_out for member in self.members]
        self.weights = pool_weights(held_out, codes, self.log_prior)
        base = pooled(held_out, self.weights, self.log_prior)
        gain = base[np.arange(len(codes)), codes] - self.log_prior[codes]
        if gain.mean() < 1.5 * gain.std() / np.sqrt(len(codes)):
            # Within the noise of nothing: the best of several strengths and kinds would be followed into that noise.
            self.weights = np.zeros(len(names))
            base = pooled(held_out, self.weights, self.log_prior)
        self.used = tuple(n for n, w in zip(names, self.weights, strict=True) if w > LEAST_WEIGHT)
        self.bend = self.bending(base, codes)
        self.corrections: list = []
        wanted = [kind for kind in kinds if kind in CORRECTIONS]
        if wanted:
            self.correct(wanted, features, self.bent(base), codes, groups, seed, doubt, most_corrected)

    def bending(self, base: np.ndarray, codes: np.ndarray) -> np.ndarray | None:
        """Weights of `bends` where they clearly help the left-out `base` (rows, classes), else None."""
        forms = bends(base, self.log_prior)
        if not promising(forms, codes, self.log_prior):
            return None
        weights = pool_weights(forms, codes, self.log_prior)
        gain = (pooled(forms, weights, self.log_prior) - base)[np.arange(len(codes)), codes]
        return weights if gain.mean() > CLEARLY * gain.std() / np.sqrt(len(gain)) else None

    def bent(self, base: np.ndarray) -> np.ndarray:
        """`base` (rows, classes) as the training rows want it."""
        return base if self.bend is None else pooled(bends(base, self.log_prior), self.bend, self.log_prior)

    def correct(self, wanted, features, base, codes, groups, seed, doubt, most) -> None:
        """Fits the corrections `wanted` on `most` rows and keeps those that help on rows they have not seen."""
        some = slice(most)
        valid = validation_rows(codes[some], None if groups is None else groups[some], seed)
        if not valid.any():
            return
        fitted = [CORRECTIONS[kind](features[some], base[some], codes[some], valid, seed) for kind in wanted]
        unseen = np.ones(len(codes), dtype=bool) if groups is None else ~np.isin(groups, groups[some][~valid])
        unseen[some] = valid
        log_probas = [base[unseen], *(fit.log_proba(features[unseen], base[unseen]) for fit in fitted)]
        weights = pool_weights(log_probas, codes[unseen], self.log_prior)
        rows = np.arange(int(unseen.sum()))
        gain = (pooled(log_probas, weights, self.log_prior) - base[unseen])[rows, codes[unseen]]
        # Not just above 0: the weights were chosen on these very rows.
        if gain.mean() > doubt * gain.std() / np.sqrt(len(gain)):
            keep = weights[1:] > LEAST_WEIGHT
            self.corrections = [fit for fit, kept in zip(fitted, keep, strict=True) if kept]
            self.correction_weights = np.concatenate([weights[:1], weights[1:][keep]])
            self.used += tuple(kind for kind, kept in zip(wanted, keep, strict=True) if kept)

    def log_proba(self, features: np.ndarray) -> np.ndarray:
        """Log-probabilities (rows, classes) in nats."""
        base = self.bent(pooled([m.log_proba(features) for m in self.members], self.weights, self.log_prior))
        if not self.corrections:
            return base
        changed = [fit.log_proba(features, base) for fit in self.corrections]
        return pooled([base, *changed], self.correction_weights, self.log_prior)


def validation_rows(codes: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
    """Mask (rows,) of a stratified fifth, or a fifth of the groups; every class keeps rows outside it."""
    rng = np.random.default_rng(seed)
    if groups is None:
        blocks = balanced_blocks(codes)
        picked = rng.permutation(int(blocks.max()) + 1)
        valid = np.isin(blocks, picked[: max(len(picked) // VALID_SHARE, 1)])
    else:
        picked = rng.permutation(np.unique(groups))
        valid = np.isin(groups, picked[: max(len(picked) // VALID_SHARE, 1)])
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        if valid[rows].all():
            valid[rows] = False
    return valid if valid.any() or groups is None else validation_rows(codes, None, seed)
