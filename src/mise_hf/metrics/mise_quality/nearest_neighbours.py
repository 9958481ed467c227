"""The nearest-neighbour estimator of Kraskov et al. 2004 (eq. 8), for few columns. Imports scipy and siblings only."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import psi

NEIGHBOURS = 4
MOST_COLUMNS = 6


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
