"""What a shared generator believes of its emotions, and what a few rows of another corpus make of it.

A generator of another corpus knows where emotions lie and how utterances scatter about them, but not this language,
these microphones, these people. So its samples are a prior, not training rows: class means with the covariance by which
a speaker's mean of an emotion differs from everyone's (how far people may disagree, and in which directions), and the
covariance within a class. The few rows of the target move it to a posterior: maximum a posteriori class means, with the
prior's strength by empirical Bayes, and a within-class covariance of residuals about those means. Everything is in
closed form, in the generator's own feature space. Pure functions of arrays.
"""

from dataclasses import dataclass, replace

import numpy as np

# Share of an isotropic part in the covariance of speakers' means, whose small directions are known badly.
ISOTROPIC_SPEAKERS = 0.3
# The same for the noise of a mean of few rows.
ISOTROPIC_NOISE = 0.3
# Least disagreement of two corpora, in shares of the within-class variance.
LEAST_DISAGREEMENT = 1e-3


@dataclass(frozen=True)
class Prior:
    """What a generator says of the emotions, in its feature space.

    Attributes:
        names: its emotions.
        means: float (emotions, dim).
        covariance: within an emotion, float (dim, dim).
        speaker_covariance: of a speaker's mean of an emotion about the emotion's mean, float (dim, dim); the identity
            where a generator does not tell speakers apart.
    """

    names: tuple[str, ...]
    means: np.ndarray
    covariance: np.ndarray
    speaker_covariance: np.ndarray


@dataclass(frozen=True)
class Settings:
    """What is chosen inside the target's training speakers.

    Attributes:
        trust: the empirical Bayes estimate of the prior's strength is multiplied by it; more than 0.
        source_share: share of the within-class covariance taken from the prior, 0 to 1.
        shrinkage: share of the within-class covariance replaced by a multiple of the identity, 0 to 1.
    """

    trust: float
    source_share: float
    shrinkage: float


@dataclass(frozen=True)
class Posterior:
    """Class means float (classes, dim) and within-class covariance float (dim, dim) of the target."""

    means: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Pull:
    """The prior of the class means, as it acts on means of rows.

    Attributes:
        shared: pairs of the target's class number and the prior's.
        prior: whose means pull.
        spread: of the target's means about the prior's, float (dim, dim).
        scatter: of a row about its class mean, float (dim, dim).
    """

    shared: list[tuple[int, int]]
    prior: Prior
    spread: np.ndarray
    scatter: np.ndarray

    def __call__(self, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Maximum a posteriori means of means float (classes, dim) of `counts` (classes,) rows each."""
        means = means.copy()
        for label, there in self.shared:
            gain = np.linalg.solve(self.spread + self.scatter / counts[label], means[label] - self.prior.means[there])
            means[label] = self.prior.means[there] + self.spread @ gain
        return means


def without_means(prior: Prior) -> Prior:
    """The prior with its emotions all at one place: for rows that it was made of, which may not count twice."""
    centre = np.broadcast_to(prior.means.mean(0), prior.means.shape)
    return replace(prior, means=centre, speaker_covariance=np.eye(len(prior.covariance)))


def posterior_of(
    prior: Prior, features: np.ndarray, labels: np.ndarray, names: tuple[str, ...], settings: Settings
) -> Posterior:
    """Move the prior to the target's rows.

    Args:
        prior: of the generator.
        features: float (rows, dim), the target's training rows in the generator's space.
        labels: int (rows,), each class of `names` at least once.
        names: the target's emotions, in the order of `labels`.
        settings: see there.

    Raises:
        ValueError: for a class without a row, or no emotion in common.
    """
    means = posterior_means(prior, features, labels, names, settings.trust)
    residual = features - means[labels]
    return Posterior(means, posterior_covariance(prior, residual.T @ residual / len(residual), settings))


def posterior_covariance(prior: Prior, covariance: np.ndarray, settings: Settings) -> np.ndarray:
    """Within-class covariance: that of the target's residuals, the prior's shape, and the identity; (dim, dim).

    Residuals are taken about the posterior means: about their own means, a handful of rows would look far tighter than
    they are.
    """
    level = np.trace(covariance) / len(covariance)
    mixed = (1 - settings.source_share) * covariance + settings.source_share * level * _unit(prior.covariance)
    return (1 - settings.shrinkage) * mixed + settings.shrinkage * level * np.eye(len(covariance))


def posterior_means(
    prior: Prior, features: np.ndarray, labels: np.ndarray, names: tuple[str, ...], trust: float
) -> np.ndarray:
    """Maximum a posteriori class means, float (classes, dim); arguments and errors as in `posterior_of`.

    An emotion that the prior does not know keeps its own mean.

    Raises:
        ValueError: for a class without a row, or no emotion in common.
    """
    pull = pull_of(prior, features, labels, names, trust)
    return pull(class_means(features, labels, len(names)), np.bincount(labels, minlength=len(names)))


def class_means(features: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Mean of the rows of each class, float (classes, dim)."""
    return np.stack([features[labels == label].mean(0) for label in range(classes)])


def pull_of(prior: Prior, features: np.ndarray, labels: np.ndarray, names: tuple[str, ...], trust: float) -> Pull:
    """The strength of the prior's pull by empirical Bayes; arguments and errors as in `posterior_of`.

    Raises:
        ValueError: for a class without a row, or no emotion in common.
    """
    dim, classes = features.shape[1], len(names)
    counts = np.bincount(labels, minlength=classes)
    if (counts == 0).any():
        absent = [names[label] for label in np.flatnonzero(counts == 0)]
        raise ValueError(f"no training row for {absent}; wanted at least one for each of {list(names)}")
    shared = shared_emotions(prior, names)
    means = class_means(features, labels, classes)
    noise = ((features - means[labels]) ** 2).sum() / max(len(features) - classes, 1) / dim
    # Squared distance to the prior's mean, less what the noise of a mean of few rows explains.
    apart = [((means[label] - prior.means[there]) ** 2).sum() / dim - noise / counts[label] for label, there in shared]
    disagreement = max(float(np.mean(apart)), LEAST_DISAGREEMENT * noise) / trust
    spread = disagreement * _with_isotropic(prior.speaker_covariance, ISOTROPIC_SPEAKERS)
    return Pull(shared, prior, spread, noise * _with_isotropic(prior.covariance, ISOTROPIC_NOISE))


def shared_emotions(prior: Prior, names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Pairs of the target's class number and the prior's, for the emotions of both.

    Raises:
        ValueError: for none.
    """
    shared = [(label, prior.names.index(name)) for label, name in enumerate(names) if name in prior.names]
    if not shared:
        raise ValueError(
            f"the generator makes {list(prior.names)} and the target has {list(names)}; wanted one in common"
        )
    return shared


def log_posterior(posterior: Posterior, features: np.ndarray) -> np.ndarray:
    """Log probability of each class under equal priors (linear discriminant analysis), float (rows, classes), nats."""
    weights = np.linalg.solve(posterior.covariance, posterior.means.T)
    scores = features @ weights - 0.5 * np.einsum("cd,dc->c", posterior.means, weights)
    scores -= scores.max(1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def _unit(covariance: np.ndarray) -> np.ndarray:
    """Scaled to a mean variance of one."""
    return covariance * (len(covariance) / np.trace(covariance))


def _with_isotropic(covariance: np.ndarray, share: float) -> np.ndarray:
    return (1 - share) * _unit(covariance) + share * np.eye(len(covariance))
