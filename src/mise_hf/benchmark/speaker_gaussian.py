"""The two-level Gaussian: an emotion's mean, a speaker's departure from it, and an utterance's from both."""

import numpy as np
from sklearn.covariance import LedoitWolf


def two_level_gaussian(
    features: np.ndarray, labels: np.ndarray, speakers: np.ndarray, wanted: np.ndarray, seed: int
) -> np.ndarray:
    """Rows of synthetic speakers: mean of the emotion + the speaker's shift (all emotions) + the utterance's own.

    Both covariances are shrunk by Ledoit and Wolf's rule: the speakers' that of the mean departure of each training
    speaker, less what the mean of as many utterances would show by itself; the utterances' that of what is left.

    Args:
        features: float (rows, dim), training rows.
        labels: int (rows,).
        speakers: str (rows,).
        wanted: int (new rows,), a class for each row to make, the classes in turn.
        seed: of the draws.

    Returns:
        float (new rows, dim); each synthetic speaker has about as many rows as a training speaker.
    """
    rng = np.random.default_rng(seed)
    means = {label: features[labels == label].mean(0) for label in np.unique(labels)}
    residual = features - np.stack([means[label] for label in labels])
    names, who, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    shifts = np.zeros((len(names), features.shape[1]))
    np.add.at(shifts, who, residual)
    shifts /= counts[:, None]
    within = LedoitWolf(assume_centered=True).fit(residual - shifts[who]).covariance_
    between = LedoitWolf(assume_centered=True).fit(shifts).covariance_ - within * (1 / counts).mean()
    voices = -(-len(wanted) // max(1, round(len(features) / len(names))))
    voice = rng.integers(voices, size=len(wanted)) if len(wanted) else np.empty(0, dtype=int)
    shift = rng.normal(size=(voices, features.shape[1])) @ _root(between)
    own = rng.normal(size=(len(wanted), features.shape[1])) @ _root(within)
    centre = np.stack([means[label] for label in wanted]) if len(wanted) else np.empty((0, features.shape[1]))
    return centre + shift[voice] + own


def _root(covariance: np.ndarray) -> np.ndarray:
    """Transposed factor; what the subtraction made negative is none."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0, None))).T
