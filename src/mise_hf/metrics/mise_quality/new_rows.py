"""Pointwise label information of rows that took no part in the fit, e.g. to choose among generated rows.

Imports numpy and siblings only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .assembly import checked_options
from .checks import as_codes, as_matrix, check_columns
from .ensemble import Ensemble
from .label_bounds import MOST_TRAINING_ROWS, chosen_kinds
from .preparation import labelled


def pointwise_new_label_information(
    train_labels: Any, train_features: Any, labels: Any, features: Any, *, groups: Any = None, seed: int = 0
) -> np.ndarray:
    """log q(c | h) - log p(c) in nats (rows',) of new rows; q is fitted on the training rows only.

    Above 0: the features make the label likelier than the training rows' class share p(c). At most -log p(c); below
    0, another emotion is likelier to be heard than the one the row is labelled with. The kinds of classifier, their
    weights and their temperature are chosen on training rows left out (with `groups`: on groups left out), so the
    scores are as calibrated for new speakers as the training rows allow.

    Args:
        train_labels: (rows,) names or whole numbers.
        train_features: (rows, columns).
        labels: (rows',) of the new rows, each a label of the training rows; one row is enough.
        features: (rows', columns) in the same space.
        groups: (rows,), e.g. speakers of the training rows.
        seed: of the networks and of the split that weighs them.

    Raises:
        ValueError: unusable input, unequal columns, or a label that the training rows do not have.
    """
    options = checked_options(0, seed, None)
    kept = as_matrix("train_features", train_features)
    new = as_matrix("features", features, 1)
    check_columns("features", new, "train_features", kept)
    train_codes, train_names = as_codes("train_labels", train_labels, len(kept))
    codes, names = as_codes("labels", labels, len(new))
    known = [str(name) for name in train_names]
    strangers = [str(name) for name in names if str(name) not in known]
    if strangers:
        raise ValueError(f"labels holds {strangers[:5]}, which train_labels does not; known are {known[:12]}")
    varies = (kept != kept[0]).any(axis=0)
    if varies.any():
        # A column that is constant in training says nothing about new rows, whatever it holds there.
        kept, new = kept[:, varies], new[:, varies]
    data = labelled(train_codes, kept, groups, "train_features")
    rng = options.rng()
    everything = np.ones(len(data.codes), dtype=bool)
    kinds, near = chosen_kinds(data.codes, data.features, len(known), everything, data.groups, rng, {})
    rows = rng.permutation(len(data.codes))[:MOST_TRAINING_ROWS]
    model = Ensemble(
        data.features[rows].astype(np.float64), data.codes[rows], len(known), kinds,
        None if data.groups is None else data.groups[rows], int(rng.integers(2**31)), near=near,
    )  # fmt: skip
    # `labelled` numbers the classes by first appearance in its own order.
    of_train = np.empty(len(known), dtype=np.int64)
    of_train[train_codes[data.order]] = data.codes
    own = of_train[np.array([known.index(str(name)) for name in names])[codes]]
    log_prior = np.log(np.bincount(data.codes, minlength=len(known)) / len(data.codes))
    return model.log_proba(new.astype(np.float64))[np.arange(len(new)), own] - log_prior[own]
