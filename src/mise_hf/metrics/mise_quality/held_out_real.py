"""The figure that carried information is compared with when no training rows are at hand. Imports siblings only."""

from __future__ import annotations

from typing import Any

import numpy as np

from .assembly import Estimate, assembled, checked_options
from .crossfit import fold_numbers
from .label_bounds import FOLDS, entropy_of
from .linear_classifier import fit_linear
from .preparation import labelled
from .result import Information


def cross_fitted_carried(real: Any, real_labels: Any, groups: Any = None, *, seed: int = 0) -> Information:
    """What real rows teach about other real rows: carried information, the other folds in place of synthetic rows.

    Args:
        real: (rows, columns).
        real_labels: (rows,).
        groups: (rows,), speakers, held out together.
        seed: of the folds.

    Raises:
        ValueError: unusable input; the message says what to do.
    """
    data = labelled(real_labels, real, groups, "real")
    classes = int(data.codes.max()) + 1

    def estimate(rng: np.random.Generator, shuffle: bool) -> Estimate:
        fold = fold_numbers(data.codes, FOLDS, rng, data.groups)
        log_prior = np.log(np.bincount(data.codes, minlength=classes) / len(data.codes))
        shares = np.empty(len(data.codes))
        for k in np.unique(fold):
            test = fold == k
            log_proba = fit_linear(data.features[~test], data.codes[~test], classes).log_proba(data.features[test])
            shares[test] = log_proba[np.arange(int(test.sum())), data.codes[test]] - log_prior[data.codes[test]]
        entropy = entropy_of(data.codes)
        method = f"calibrated ridge classifier on the real rows, {FOLDS} folds"
        return Estimate(shares, method, entropy, 0.0, 0.0, data.groups, (), len(shares))

    return assembled(estimate, checked_options(0, seed, None))
