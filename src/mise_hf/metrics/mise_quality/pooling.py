"""Several posteriors made into one by weights that maximise their left-out likelihood. Imports siblings only."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from .linear_classifier import log_softmax

MAX_WEIGHT = 2.0
# Just enough that a member which says nothing gets weight 0 rather than any.
PENALTY = 1e-3
# Where labels are wrong now and then, a posterior levels off far from 0 and 1; a ridge's does not.
SLOPES = (1.0, 3.0, 10.0)


def pooled(log_probas: list[np.ndarray], weights: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
    """log of p(c) times the product of (q_k(c | h) / p(c)) ^ w_k, normalised (rows, classes): a logarithmic pool."""
    logits = log_prior + sum(w * (q - log_prior) for w, q in zip(weights, log_probas, strict=True))
    return log_softmax(logits)


def pool_weights(log_probas: list[np.ndarray], codes: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
    """Weights (members,) >= 0 with the least cross-entropy on `codes` (rows,); the problem is convex."""
    ratios = np.stack([q - log_prior for q in log_probas])
    rows = np.arange(len(codes))
    chosen = ratios[:, rows, codes].mean(axis=1)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = log_prior + np.tensordot(weights, ratios, axes=1)
        log_q = log_softmax(logits)
        expected = np.einsum("nk,mnk->m", np.exp(log_q), ratios) / len(codes)
        cost = float(-log_q[rows, codes].mean()) + 0.5 * PENALTY * float(weights @ weights)
        return cost, expected - chosen + PENALTY * weights

    start = np.full(len(log_probas), 1.0 / len(log_probas))
    bounds = [(0.0, MAX_WEIGHT)] * len(log_probas)
    return minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 50}).x


def bends(log_proba: np.ndarray, log_prior: np.ndarray) -> list[np.ndarray]:
    """`log_proba` (rows, classes) itself and ones that rise as it does and then level off, at each of SLOPES."""
    ratio = log_proba - log_prior
    return [log_proba, *(log_softmax(log_prior + 2.0 * np.tanh(slope * ratio)) for slope in SLOPES)]


def promising(log_probas: list[np.ndarray], codes: np.ndarray, log_prior: np.ndarray) -> bool:
    """Whether a little of any other member would clearly help the first one: the slope of the loss at weight 0."""
    rows, proba = np.arange(len(codes)), np.exp(log_probas[0])
    for other in log_probas[1:]:
        ratio = other - log_prior
        slope = ratio[rows, codes] - (proba * ratio).sum(axis=1)
        # Both ways: more of one form may also mean less of the first.
        if abs(slope.mean()) > 2.0 * slope.std() / np.sqrt(len(slope)):
            return True
    return False


def needed(log_probas: list[np.ndarray], codes: np.ndarray, log_prior: np.ndarray) -> list[int]:
    """Members worth having: the best one, then whichever adds more than two standard errors to the pool so far."""
    rows = np.arange(len(codes))
    chosen: list[int] = []
    so_far = log_prior[codes]
    while len(chosen) < len(log_probas):
        scores = {}
        for i in set(range(len(log_probas))) - set(chosen):
            members = [log_probas[j] for j in (*chosen, i)]
            scores[i] = pooled(members, pool_weights(members, codes, log_prior), log_prior)[rows, codes]
        best = max(sorted(scores), key=lambda i: scores[i].mean())
        gain = scores[best] - so_far
        if chosen and gain.mean() <= 2 * gain.std() / np.sqrt(len(gain)):
            break
        chosen.append(best)
        so_far = scores[best]
    return chosen
