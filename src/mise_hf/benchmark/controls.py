"""Augmentations that a generator must beat: feature noise, mixup, SMOTE, class-conditional Gaussian."""

import numpy as np
from imblearn.over_sampling import SMOTE
from sklearn.covariance import LedoitWolf

# Standard deviation of the added noise in within-class standard deviations.
NOISE_LEVEL = 0.5


def feature_noise(features: np.ndarray, labels: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """Training rows of the wanted classes with Gaussian noise; shapes as in `class_gaussian`."""
    rng = np.random.default_rng(seed)
    base = features[_rows_of(labels, wanted, rng)]
    return base + NOISE_LEVEL * _within(features, labels).std(0) * rng.normal(size=base.shape)


def mixup(features: np.ndarray, labels: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """Points between two training rows of the wanted class (Zhang et al., 2018, within a class)."""
    rng = np.random.default_rng(seed)
    first = _rows_of(labels, wanted, rng)
    # Another row than the first, or the point between them would be a copy; a class of one row has no other.
    others = [np.setdiff1d(np.flatnonzero(labels == labels[row]), row) for row in first]
    second = np.array([rng.choice(found) if len(found) else row for row, found in zip(first, others, strict=True)])
    place = rng.uniform(size=(len(wanted), 1))
    return place * features[first] + (1 - place) * features[second]


def smote(features: np.ndarray, labels: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """SMOTE of imbalanced-learn, asked for the wanted number of new rows in each class; of one row, copies."""
    counts, new = np.bincount(labels), np.bincount(wanted, minlength=labels.max() + 1)
    able = [label for label in range(len(counts)) if counts[label] > 1]
    goal = {label: int(counts[label] + new[label]) for label in able}
    neighbours = min(5, min(counts[label] for label in able) - 1)
    sampler = SMOTE(sampling_strategy=goal, k_neighbors=neighbours, random_state=seed)
    rows = np.isin(labels, able)
    made, made_labels = sampler.fit_resample(features[rows], labels[rows])
    made, made_labels = made[rows.sum() :], made_labels[rows.sum() :]
    out = np.empty((len(wanted), features.shape[1]))
    for label in np.unique(wanted):
        out[wanted == label] = made[made_labels == label] if label in able else features[labels == label]
    return out


def class_gaussian(features: np.ndarray, labels: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """Draws from class mean and shared covariance (Ledoit-Wolf).

    Args:
        features: float (rows, dim), training rows.
        labels: int (rows,).
        wanted: int (new rows,), a class for each row to make.
        seed: of the draws.

    Returns:
        float (new rows, dim).
    """
    rng = np.random.default_rng(seed)
    means = {label: features[labels == label].mean(0) for label in np.unique(labels)}
    values, vectors = np.linalg.eigh(LedoitWolf().fit(_within(features, labels)).covariance_)
    factor = vectors * np.sqrt(np.clip(values, 0, None))
    noise = rng.normal(size=(len(wanted), features.shape[1]))
    return np.stack([means[label] for label in wanted]) + noise @ factor.T


def _within(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows less their class mean."""
    out = np.array(features, dtype=float)
    for label in np.unique(labels):
        out[labels == label] -= out[labels == label].mean(0)
    return out


def _rows_of(labels: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.array([rng.choice(np.flatnonzero(labels == label)) for label in wanted])


CONTROLS = {
    "feature noise": feature_noise,
    "mixup": mixup,
    "SMOTE": smote,
    "class Gaussian": class_gaussian,
}
