"""Label-against-vector tasks whose mutual information is known, exactly or by Monte Carlo over the true densities.

Each task is a `Task`: `draw(rows, seed)` gives (labels (rows,), features (rows, columns)); `truth` is in nats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

IEMOCAP_PRIORS = np.array([1708, 1636, 1103, 1084]) / 5531.0


@dataclass(frozen=True)
class Task:
    """One known truth: `draw(rows, seed)` and `truth` in nats."""

    name: str
    draw: Callable[[int, int], tuple[np.ndarray, np.ndarray]]
    truth: float


class ClassMixture:
    """Classes that are mixtures of unit-covariance Gaussians in `core` dimensions, hidden by a rotation in `wide`.

    `centres` is (classes, components, core). With `tails`, the noise is Student's t with that many degrees instead.
    """

    def __init__(self, centres: np.ndarray, priors: np.ndarray, wide: int, scales: np.ndarray, tails: float = np.inf):
        self.centres, self.priors, self.wide, self.scales, self.tails = centres, priors, wide, scales, tails
        self.rotation = np.linalg.qr(np.random.default_rng(7).normal(size=(wide, wide)))[0]

    def core(self, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Labels (rows,) and core coordinates (rows, core)."""
        labels = rng.choice(len(self.priors), rows, p=self.priors)
        part = rng.integers(self.centres.shape[1], size=rows)
        return labels, self.centres[labels, part] + self.noise((rows, self.centres.shape[2]), rng)

    def noise(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Independent noise of unit scale."""
        return rng.normal(size=shape) if np.isinf(self.tails) else rng.standard_t(self.tails, size=shape)

    def draw(self, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Labels (rows,) and float32 features (rows, wide)."""
        rng = np.random.default_rng(seed)
        labels, core = self.core(rows, rng)
        rest = self.noise((rows, self.wide - core.shape[1]), rng)
        return labels, (np.concatenate([core, rest], axis=1) * self.scales @ self.rotation.T).astype(np.float32)

    def log_density(self, core: np.ndarray) -> np.ndarray:
        """log p(core | class) (rows, classes), up to a constant that all classes share."""
        out = np.empty((len(core), len(self.priors)))
        for k, centres in enumerate(self.centres):
            gap = core[:, None, :] - centres
            if np.isinf(self.tails):
                each = -0.5 * (gap**2).sum(-1)
            else:
                each = -0.5 * (self.tails + 1) * np.log1p(gap**2 / self.tails).sum(-1)
            out[:, k] = logsumexp(each, axis=1) - np.log(len(centres))
        return out

    def truth(self, rows: int = 200_000, seed: int = 99) -> float:
        """Monte Carlo mean of log p(c | core) - log p(c); standard error about 0.001."""
        total = 0.0
        rng = np.random.default_rng(seed)
        for _ in range(rows // 10_000):
            labels, core = self.core(10_000, rng)
            joint = self.log_density(core) + np.log(self.priors)
            joint -= logsumexp(joint, axis=1, keepdims=True)
            total += float((joint[np.arange(len(labels)), labels] - np.log(self.priors[labels])).mean())
        return total / (rows // 10_000)


def iemocap_mixture() -> ClassMixture:
    """4 classes at IEMOCAP's priors, 3 components each, 32 of 256 dimensions informative (the anchor task)."""
    rng = np.random.default_rng(7)
    rng.normal(size=(256, 256))
    centre = rng.normal(size=(4, 1, 256))
    offset = rng.normal(size=(4, 3, 256)) * 0.8
    centres = 0.3064849853515625 * (centre + offset)[..., :32]
    return ClassMixture(centres, IEMOCAP_PRIORS, 256, np.arange(1, 257) ** -0.5)


def shuffled(draw: Callable[[int, int], tuple[np.ndarray, np.ndarray]]) -> Callable:
    """The same task with its labels shuffled: truth 0."""

    def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        labels, features = draw(rows, seed)
        return np.random.default_rng([seed, 1]).permutation(labels), features

    return drawn


def plain(classes: int, core: int, wide: int, distance: float, priors: np.ndarray, tails: float = np.inf, seed=3):
    """One Gaussian (or Student) per class, centres `distance` from the origin, every column of the same scale."""
    centres = np.random.default_rng(seed).normal(size=(classes, 1, core))
    centres *= distance / np.linalg.norm(centres, axis=-1, keepdims=True)
    return ClassMixture(centres, priors, wide, np.ones(wide), tails)


def sparse(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """2 classes 2 apart in one column of 512; no rotation."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=rows)
    features = rng.normal(size=(rows, 512))
    features[:, 17] += 2.0 * labels
    return labels, features


def spread(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """3 classes with the same mean and standard deviations 1, 1.6, 2.6 in 8 columns."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=rows)
    return labels, rng.normal(size=(rows, 8)) * (1.6**labels)[:, None]


def chequered(factors: int, wrong: float, mixed: bool = False) -> Callable[[int, int], tuple[np.ndarray, np.ndarray]]:
    """2 classes by the sign of a product of `factors` of 10 columns, a share `wrong`; columns may be mixed."""

    def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(rows, 10))
        labels = (features[:, :factors].prod(axis=1) > 0) ^ (rng.random(rows) < wrong)
        rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(10, 10)))[0]
        return labels.astype(int), features @ rotation if mixed else features

    return drawn


def chequered_truth(wrong: float) -> float:
    """log 2 less the entropy of a share `wrong`."""
    return float(np.log(2.0) + (1 - wrong) * np.log(1 - wrong) + wrong * np.log(wrong))


def binary_columns(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """2 classes, 12 columns of 0 and 1, each equal to the label with probability 0.7."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=rows)
    same = rng.random((rows, 12)) < 0.7
    return labels, np.where(same, labels[:, None], 1 - labels[:, None]).astype(float)


LAPLACE_CENTRES = 0.8 * np.random.default_rng(11).normal(size=(3, 10))


def laplace_mixed(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """3 classes apart in 10 columns of Laplace noise, then rotated: no column alone has long tails."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=rows)
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(10, 10)))[0]
    return labels, (LAPLACE_CENTRES[labels] + rng.laplace(size=(rows, 10))) @ rotation


def thirds(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which third of a direction across 32 columns; one label in twenty is another one."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 32))
    direction = np.random.default_rng(5).normal(size=32)
    place = norm.cdf(features @ direction / np.linalg.norm(direction))
    labels = (3 * place).astype(int)
    return np.where(rng.random(rows) < 0.05, (labels + rng.integers(1, 3, size=rows)) % 3, labels), features


def uniform_mixture(m: int) -> Callable[[int, int], tuple[np.ndarray, np.ndarray]]:
    """c uniform on 0..m-1, h uniform on [c, c + 2] (Gao et al. 2017)."""

    def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        labels = rng.integers(m, size=rows)
        return labels, (labels + rng.uniform(0, 2, size=rows))[:, None]

    return drawn


def monte_carlo(log_ratio: Callable[[np.ndarray], np.ndarray], rows: int = 400_000) -> float:
    """Mean of `log_ratio(rng)` values, one fixed seed."""
    return float(np.mean(log_ratio(np.random.default_rng(99), rows)))


def _sparse_ratio(rng: np.random.Generator, rows: int) -> np.ndarray:
    x = rng.normal(size=rows)
    return np.log(2.0) - np.logaddexp(0.0, -2.0 * (1.0 + x))


def _spread_ratio(rng: np.random.Generator, rows: int) -> np.ndarray:
    labels = rng.integers(3, size=rows)
    radius = rng.chisquare(8, size=rows) * 1.6 ** (2 * labels)
    log_p = -0.5 * radius[:, None] / 1.6 ** (2 * np.arange(3)) - 8 * np.arange(3) * np.log(1.6)
    return log_p[np.arange(rows), labels] - logsumexp(log_p, axis=1) + np.log(3.0)


def _binary_ratio(rng: np.random.Generator, rows: int) -> np.ndarray:
    hits = rng.binomial(12, 0.7, size=rows)
    return np.log(2.0) - np.logaddexp(0.0, (12 - 2 * hits) * np.log(0.7 / 0.3))


def _laplace_ratio(rng: np.random.Generator, rows: int) -> np.ndarray:
    labels = rng.integers(3, size=rows)
    core = LAPLACE_CENTRES[labels] + rng.laplace(size=(rows, 10))
    log_p = -np.abs(core[:, None, :] - LAPLACE_CENTRES).sum(-1)
    return log_p[np.arange(rows), labels] - logsumexp(log_p, axis=1) + np.log(3.0)


def uniform_truth(m: int) -> float:
    """log m - (m - 1) / m log 2 (Gao et al. 2017)."""
    return float(np.log(m) - (m - 1) / m * np.log(2.0))


def label_tasks() -> dict[str, Task]:
    """The targets of the issue first, then cases that the estimators were not tuned on one by one."""
    mixture = iemocap_mixture()
    eight = plain(8, 16, 64, 2.5, np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05]))
    rare = plain(2, 4, 128, 1.5, np.array([0.95, 0.05]))
    heavy = plain(4, 8, 64, 2.5, np.full(4, 0.25), tails=2.0)
    tasks = [
        Task("label_gmm", mixture.draw, mixture.truth()),
        Task("label_null", shuffled(mixture.draw), 0.0),
        Task("uniform_4", uniform_mixture(4), uniform_truth(4)),
        Task("uniform_8", uniform_mixture(8), uniform_truth(8)),
        Task("eight_classes", eight.draw, eight.truth()),
        Task("rare_class", rare.draw, rare.truth()),
        Task("heavy_tails", heavy.draw, heavy.truth()),
        Task("sparse_512", sparse, monte_carlo(_sparse_ratio)),
        Task("spread", spread, monte_carlo(_spread_ratio)),
        Task("chequered", chequered(2, 0.1), chequered_truth(0.1)),
        Task("chequered_mixed", chequered(2, 0.1, mixed=True), chequered_truth(0.1)),
        Task("chequered_three", chequered(3, 0.05), chequered_truth(0.05)),
        Task("binary", binary_columns, monte_carlo(_binary_ratio)),
        Task("laplace_mixed", laplace_mixed, monte_carlo(_laplace_ratio)),
        Task("thirds", thirds, float(np.log(3.0) + 0.95 * np.log(0.95) + 0.05 * np.log(0.025))),
    ]
    return {task.name: task for task in tasks}
