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
    held = transfer.inside.held
    if not len(held):
        return
    helped = balanced_loss(table.labels[held], transfer.inside.log_posterior)[0]
    alone = loss_alone(Labelled(table.layer(layers), table.labels, table.speakers, transfer.names), seed=seed)
    if alone <= helped:
        warnings.warn(
            f"this generator may not help: on left-out speakers, LDA on the target's {len(table)} rows alone loses "
            f"{alone:.3f} nats a row, with the generator {helped:.3f}; `mise-hf benchmark --pretrained` compares them "
            "on unseen speakers",
            UserWarning,
            stacklevel=3,
        )


def loss_alone(rows: Labelled, *, seed: int) -> float:
    """The least class-balanced loss over `SHRINKAGES` on left-out speakers, nats a row; infinity without inner folds.

    Args:
        rows: of the target.
        seed: of the principal components.
    """
    truth: list[np.ndarray] = []
    found: dict[float, list[np.ndarray]] = {shrinkage: [] for shrinkage in SHRINKAGES}
    equal = np.full(len(rows.names), 1 / len(rows.names))
    for fit, held in rows.inner_folds():
        most = min(COMPONENTS, len(fit) - 1, rows.states.shape[1])
        # Randomised: the exact decomposition takes minutes at some thousand rows.
        places = make_pipeline(StandardScaler(), PCA(most, svd_solver="randomized", random_state=seed))
        features, others = places.fit_transform(rows.states[fit]), places.transform(rows.states[held])
        truth.append(rows.labels[held])
        for shrinkage in SHRINKAGES:
            lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=equal)
            scores = lda.fit(features, rows.labels[fit]).decision_function(others)
            found[shrinkage].append(np.stack([0 * scores, scores], axis=1) if scores.ndim == 1 else scores)
    if not truth:
        return float("inf")
    answers = np.concatenate(truth)
    return min(balanced_loss(answers, np.concatenate(parts))[0] for parts in found.values())
