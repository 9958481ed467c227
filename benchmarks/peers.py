"""The peers' estimators under one call: arrays in, nats out. Whoever is not installed is left out."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma
from sklearn.decomposition import PCA
from sklearn.feature_selection import mutual_info_classif

COMPONENTS = 16


def reduced(x: np.ndarray) -> np.ndarray:
    """Standardised columns, at most COMPONENTS principal components of them."""
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return PCA(COMPONENTS, whiten=True, random_state=0).fit_transform(z) if z.shape[1] > COMPONENTS else z


def ksg(x: np.ndarray, y: np.ndarray, k: int = 4) -> float:
    """Kraskov et al. 2004, first estimator, on at most 16 principal components a side."""
    a, b = reduced(x), reduced(y)
    both = np.concatenate([a, b], axis=1)
    reach = cKDTree(both).query(both, k=k + 1, p=np.inf)[0][:, -1] * (1 - 1e-10)
    counts = [cKDTree(s).query_ball_point(s, reach, p=np.inf, return_length=True) for s in (a, b)]
    return float(digamma(k) + digamma(len(a)) - np.mean(digamma(counts[0]) + digamma(counts[1])))


def ross(labels: np.ndarray, x: np.ndarray, k: int = 4) -> float:
    """Ross 2014: nearest neighbours of one class against all, on at most 16 principal components."""
    z = reduced(x)
    reach, sizes = np.empty(len(z)), np.empty(len(z))
    for c in np.unique(labels):
        rows = labels == c
        near = min(k, int(rows.sum()) - 1)
        reach[rows] = cKDTree(z[rows]).query(z[rows], k=near + 1, p=np.inf)[0][:, -1]
        sizes[rows] = rows.sum()
    inside = cKDTree(z).query_ball_point(z, reach * (1 - 1e-10), p=np.inf, return_length=True)
    return float(digamma(len(z)) + digamma(k) - np.mean(digamma(sizes)) - np.mean(digamma(inside)))


def summed_scikit_learn(labels: np.ndarray, x: np.ndarray) -> float:
    """The sum of scikit-learn's mutual_info_classif over the columns, as people use it."""
    return float(mutual_info_classif(x, labels, random_state=0).sum())


def torch_mist(name: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """One of torch-mist's estimators with its own training loop and defaults."""

    def estimate(x: np.ndarray, y: np.ndarray) -> float:
        import torch
        from torch_mist import estimate_mi

        torch.manual_seed(0)
        if x.ndim == 1:
            x = np.eye(int(x.max()) + 1)[x]
        arrays = tuple(np.asarray(a, dtype=np.float32) for a in (x, y))
        # It prints advice whatever `verbose` says, which would tear the table.
        with redirect_stdout(StringIO()):
            value = estimate_mi(
                arrays, estimator=name, hidden_dims=[64, 64], batch_size=128, max_epochs=10, verbose=False, device="cpu"
            )
        return float(value[0] if isinstance(value, tuple) else value)

    return estimate


def mist() -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    """torch-mist's SMILE and MINE, if it is installed."""
    if importlib.util.find_spec("torch_mist") is None:
        return {}
    return {"SMILE": torch_mist("smile"), "MINE": torch_mist("mine")}


def label_peers() -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    """Estimators of I(label; vector)."""
    return {"Ross-KSG": ross, "sklearn sum": summed_scikit_learn, **mist()}


def vector_peers() -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    """Estimators of I(vector; vector)."""
    return {"KSG": ksg, **mist()}
