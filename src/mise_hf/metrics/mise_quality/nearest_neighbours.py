"""The nearest-neighbour estimator of Kraskov et al. 2004 (eq. 8), for few columns. Imports scipy and siblings only."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import ndtri, psi

NEIGHBOURS = 4
MOST_COLUMNS = 6


def untied_scores(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Normal scores of `x` (rows, columns), equal values put in random order.

    A value that repeats (rounding, zeros, whole numbers) becomes a stretch of scores that belongs to it alone. It can
    be read off again and was spread without a look at the other side, so the information is the same, and the
    neighbours' distances are those of a density.
    """
    mixed = rng.permutation(len(x))
    place = np.empty_like(x)
    for j in range(x.shape[1]):
        place[mixed[np.argsort(x[mixed, j], kind="stable")], j] = np.arange(1, len(x) + 1)
    return ndtri(place / (len(x) + 1))


def neighbour_shares(x: np.ndarray, y: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Each row's share (rows,) of I(x; y) in nats; the mean is the first estimator of Kraskov et al.

    Args:
        x: (rows, X) and y: (rows, Y), each column of about unit spread and without ties.
        k: neighbours.
    """
    both = np.concatenate([x, y], axis=1)
    reach = cKDTree(both).query(both, k=k + 1, p=np.inf)[0][:, -1]
    inside = reach * (1 - 1e-10)
    near_x = cKDTree(x).query_ball_point(x, inside, p=np.inf, return_length=True)
    near_y = cKDTree(y).query_ball_point(y, inside, p=np.inf, return_length=True)
    return psi(k) + psi(len(x)) - psi(near_x) - psi(near_y)
