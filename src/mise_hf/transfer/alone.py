"""What the target's rows are worth alone: shrinkage LDA in their own principal components, on left-out speakers."""

import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mise_hf.features import FeatureTable
from mise_hf.transfer.checkpoint import Transfer
from mise_hf.transfer.choice import Labelled, balanced_loss

COMPONENTS = 256
SHRINKAGES = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8)


def warn_of_no_gain(transfer: Transfer, table: FeatureTable, layers: tuple[int, ...], *, seed: int) -> None:
    """Warn where the target's rows alone tell its left-out speakers' emotions as well as the transfer does.

    Args:
        transfer: fitted to `table`.
        table: training rows of the target.
        layers: of the generator.
        seed: of the principal components.
    """
    rows = Labelled(table.layer(layers), table.labels, table.speakers, transfer.names)
    held, scores = scores_alone(rows, seed=seed)
    _, ours, theirs = np.intersect1d(held, transfer.inside.held, return_indices=True)
    if not len(ours):
        return
    labels = table.labels[held[ours]]
    helped = balanced_loss(labels, transfer.inside.log_posterior[theirs])[0]
    alone = min(balanced_loss(labels, found[ours])[0] for found in scores)
    if alone <= helped:
        warnings.warn(
            f"this generator may not help: on left-out speakers, LDA on the target's {len(table)} rows alone loses "
            f"{alone:.3f} nats a row, with the generator {helped:.3f}; `mise-hf benchmark --pretrained` compares them "
            "on unseen speakers",
            UserWarning,
            stacklevel=3,
        )


def scores_alone(rows: Labelled, *, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Row numbers of left-out speakers, and their log probabilities float (rows, classes) for each of `SHRINKAGES`.

    A fold that fits on one row of each emotion, which has no covariance, is left out; there may be none.

    Args:
        rows: of the target.
        seed: of the principal components.
    """
    known: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    found: list[list[np.ndarray]] = [[np.empty((0, len(rows.names)))] for _ in SHRINKAGES]
    equal = np.full(len(rows.names), 1 / len(rows.names))
    for fit, held in rows.inner_folds():
        if len(fit) <= len(rows.names):
            continue
        most = min(COMPONENTS, len(fit) - 1, rows.states.shape[1])
        # Randomised: the exact decomposition takes minutes at some thousand rows.
        places = make_pipeline(StandardScaler(), PCA(most, svd_solver="randomized", random_state=seed))
        features, others = places.fit_transform(rows.states[fit]), places.transform(rows.states[held])
        known.append(held)
        for parts, shrinkage in zip(found, SHRINKAGES, strict=True):
            lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=equal)
            with warnings.catch_warnings():
                # The shared covariance has no need of a class's own.
                warnings.filterwarnings("ignore", message="Only one sample available")
                scores = lda.fit(features, rows.labels[fit]).decision_function(others)
            parts.append(np.stack([0 * scores, scores], axis=1) if scores.ndim == 1 else scores)
    return np.concatenate(known), [np.concatenate(parts) for parts in found]
