"""Carried information: what synthetic rows teach about real emotion. Imports siblings only."""

from __future__ import annotations

from typing import Any

import numpy as np

from .assembly import Estimate, assembled, checked_options
from .checks import as_codes, as_matrix, check_columns
from .crossfit import canonical_order
from .label_bounds import entropy_of
from .linear_classifier import fit_linear
from .result import Information


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

    What a generator teaches about real emotion, at the row count it was given. A generator collapsed to one point a
    class, or trained on shuffled labels, has a high I(c; h_hat) on its own rows and a low or negative carried
    information. Hand in real training rows as `synthetic` for the figure to compare with. No correction for the
    finite number of synthetic rows is made: what a few rows teach is the question.

    Args:
        synthetic: (rows, columns), generated features.
        synthetic_labels: (rows,), the labels they were generated for.
        real: (rows', columns), real features of speakers the generator has not seen.
        real_labels: (rows',).
        groups: (rows',), speakers of the real rows: the standard error then counts speakers, not rows.
        n_permutations: synthetic labels are shuffled and the classifier refitted this many times.
        seed: of the permutations.
        base: 2 for bits; None for nats.

    Raises:
        ValueError: unusable input, or no label in common; the message says what to do.
    """
    options = checked_options(n_permutations, seed, base)
    data = Transfer(synthetic, synthetic_labels, real, real_labels)
    group_codes = None if groups is None else as_codes("groups", groups, len(data.real))[0]
    if group_codes is not None and group_codes.max() == 0:
        group_codes = None

    def estimate(rng: np.random.Generator, shuffle: bool) -> Estimate:
        codes = rng.permutation(data.synthetic_codes) if shuffle else data.synthetic_codes
        return Estimate(
            data.scores(codes), "calibrated ridge classifier fitted on the synthetic rows, scored on the real rows",
            entropy_of(data.real_codes), 0.0, 0.0, group_codes, data.flags, len(data.real),
        )  # fmt: skip

    return assembled(estimate, options)


def pointwise_carried_information(synthetic: Any, synthetic_labels: Any, real: Any, real_labels: Any) -> np.ndarray:
    """Each real row's share (rows',) of the carried information in nats; arguments as `carried_information`."""
    data = Transfer(synthetic, synthetic_labels, real, real_labels)
    return data.scores(data.synthetic_codes)


class Transfer:
    """Two labelled sets in one feature space and one set of class names."""

    def __init__(self, synthetic: Any, synthetic_labels: Any, real: Any, real_labels: Any):
        fake, self.real = as_matrix("synthetic", synthetic, 4), as_matrix("real", real, 2)
        check_columns("synthetic", fake, "real", self.real)
        fake_codes, fake_names = as_codes("synthetic_labels", synthetic_labels, len(fake))
        real_codes, real_names = as_codes("real_labels", real_labels, len(self.real))
        fake_texts, real_texts = [str(n) for n in fake_names], [str(n) for n in real_names]
        if not set(fake_texts) & set(real_texts):
            raise ValueError(
                f"no label in common: synthetic_labels {fake_texts[:8]}, real_labels {real_texts[:8]}; "
                "use the same names (or the same numbers) on both sides"
            )
        if len(fake_texts) < 2:
            raise ValueError(f"synthetic_labels holds one class only ({fake_texts[0]!r}); nothing can be told apart")
        if len(real_texts) < 2:
            raise ValueError(f"real_labels holds one class only ({real_texts[0]!r}); nothing can be told apart")
        every = sorted({*fake_texts, *real_texts})
        absent = sorted(set(real_texts) - set(fake_texts))
        self.flags = (f"no synthetic row of {', '.join(absent)}: these real rows cannot be told",) if absent else ()
        order = canonical_order(fake, fake_codes)
        self.synthetic = fake[order]
        self.synthetic_codes = np.array([every.index(n) for n in fake_texts])[fake_codes][order]
        self.real_codes = np.array([every.index(n) for n in real_texts])[real_codes]
        self.classes = len(every)

    def scores(self, codes: np.ndarray) -> np.ndarray:
        """log q(c | h) - log p(c) (rows',) in nats, q fitted on the synthetic rows with `codes`, p the real rows'."""
        log_proba = fit_linear(self.synthetic, codes, self.classes).log_proba(self.real)
        p = np.bincount(self.real_codes, minlength=self.classes) / len(self.real_codes)
        return log_proba[np.arange(len(self.real)), self.real_codes] - np.log(p[self.real_codes])
