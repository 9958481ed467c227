"""Utterances without a label in an adaptation: expectation-maximisation from what labels and prior say.

Labels cost, clips do not. A row without a label counts for each emotion by the emotion's probability, and the class
means and the covariance are taken again of all rows; so a few times over. With the labels held fixed and the prior's
pull on the means this climbs the posterior of a mixture of Gaussians (Dempster, Laird and Rubin, 1977; for classifiers
Nigam et al., 2000, whose weight of unlabelled rows is `Unlabelled.weight`). Pure functions of arrays.
"""

from dataclasses import dataclass

import numpy as np

from mise_hf.transfer.adaptation import (
    Posterior,
    Prior,
    Settings,
    class_means,
    log_posterior,
    posterior_covariance,
    posterior_of,
    pull_of,
)

ROUNDS = 5


@dataclass(frozen=True)
class Unlabelled:
    """How rows without a label count; chosen inside the target's training speakers.

    Attributes:
        weight: of such a row against one with a label, 0 (not at all) to 1.
        sharpness: exponent of the class probabilities, 0 to 1: in hundreds of dimensions a Gaussian is far too sure.
    """

    weight: float
    sharpness: float


def posterior_with_unlabelled(
    prior: Prior,
    features: np.ndarray,
    labels: np.ndarray,
    names: tuple[str, ...],
    settings: Settings,
    unlabelled: np.ndarray,
    how: Unlabelled,
) -> Posterior:
    """Move the prior to the target's rows, with and without labels.

    Args:
        prior, features, labels, names, settings: as in `mise_hf.transfer.adaptation.posterior_of`.
        unlabelled: float (rows, dim), in the same space.
        how: they count.

    Raises:
        ValueError: as `posterior_of`.
    """
    posterior = posterior_of(prior, features, labels, names, settings)
    if not how.weight or not len(unlabelled):
        return posterior
    pull = pull_of(prior, features, labels, names, settings.trust)
    counts = np.bincount(labels, minlength=len(names)).astype(float)
    sums = class_means(features, labels, len(names)) * counts[:, None]
    for _ in range(ROUNDS):
        shares = how.weight * _flattened(log_posterior(posterior, unlabelled), how.sharpness)
        rows_of = counts + shares.sum(0)
        means = pull((sums + shares.T @ unlabelled) / rows_of[:, None], rows_of)
        residual = features - means[labels]
        scatter = residual.T @ residual
        for mean, share in zip(means, shares.T, strict=True):
            apart = unlabelled - mean
            scatter += (apart * share[:, None]).T @ apart
        posterior = Posterior(means, posterior_covariance(prior, scatter / rows_of.sum(), settings))
    return posterior


def _flattened(log_probabilities: np.ndarray, sharpness: float) -> np.ndarray:
    """Probabilities to the power of `sharpness`, rows summing to one."""
    scores = sharpness * (log_probabilities - log_probabilities.max(1, keepdims=True))
    probabilities = np.exp(scores)
    return probabilities / probabilities.sum(1, keepdims=True)
