"""A generator's feature space, moved so that another corpus's states come to lie where the generator has them."""

import copy

import numpy as np
import torch

from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.models.space_mise import MiseFeatureSpace
from mise_hf.transfer.adaptation import Prior, shared_emotions


def target_space(
    generator: MiseGenerator, prior: Prior, states: np.ndarray, labels: np.ndarray, names: tuple[str, ...]
) -> MiseFeatureSpace:
    """The generator's space, with mean and scale such that the shared emotions lie where the generator has them.

    Emotion by emotion, so that neither how often an emotion occurs nor an emotion of one side alone moves the others.
    """
    shared = shared_emotions(prior, names)
    mean = np.mean([states[labels == label].mean(0, dtype=np.float64) for label, _ in shared], axis=0)
    variance = np.mean([((states[labels == label] - mean) ** 2).mean(0) for label, _ in shared], axis=0)
    floor = 1e-12 * max(variance.max(), 1e-30)
    components = generator.space.components.double().cpu().numpy()
    theirs, everyone = _moments(prior, [there for _, there in shared]), _moments(prior, list(range(len(prior.names))))
    # The generator's corpus has unit variance in each state over all its emotions; the part outside the components is
    # taken to be the same for the shared ones.
    change = (components * ((theirs[1] - everyone[1]) @ components)).sum(0)
    scale = np.sqrt(np.maximum(variance, floor) / np.maximum(1 + change, 0.1))
    space = copy.deepcopy(generator.space)
    space.scale.copy_(torch.from_numpy(scale))
    space.mean.copy_(torch.from_numpy(mean - scale * (theirs[0] @ components)))
    return space


def features_in(space: MiseFeatureSpace, states: np.ndarray) -> np.ndarray:
    """States float32 (rows, state size) in the space, float64 (rows, dim)."""
    return space.project(torch.from_numpy(states)).double().numpy()


def _moments(prior: Prior, chosen: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean float (dim,) and covariance float (dim, dim) of a balanced mixture of the chosen emotions."""
    means = prior.means[chosen]
    centred = means - means.mean(0)
    return means.mean(0), prior.covariance + centred.T @ centred / len(chosen)
