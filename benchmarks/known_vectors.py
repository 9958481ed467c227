"""Vector-against-vector tasks whose mutual information is known in closed form (a few by quadrature or Monte Carlo).

Each task is a `Task`: `draw(rows, seed)` gives x (rows, X) and y (rows, Y); `truth` is in nats. The first eleven kinds
follow Czyz et al. 2023, "Beyond Normal"; the 16 x 256 pairs are the anchor tasks of this project.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from known_labels import Task
from scipy.special import gammaln, ndtr, psi
from scipy.stats import norm

CORE, WIDE = 16, 256


def gaussian(correlation: np.ndarray, split: int, after: Callable = lambda v: v, twist: Callable = lambda v: v):
    """Normal with this correlation matrix, split after `split` columns; `after` acts on x and y, `twist` on x too."""
    chol = np.linalg.cholesky(correlation)

    def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        z = np.random.default_rng(seed).normal(size=(rows, len(chol))) @ chol.T
        return after(twist(z[:, :split])), after(z[:, split:])

    return drawn


def gaussian_truth(correlation: np.ndarray, split: int) -> float:
    """-1/2 log (det C / (det Cx det Cy))."""
    logdet = [np.linalg.slogdet(c)[1] for c in (correlation[:split, :split], correlation[split:, split:], correlation)]
    return float(0.5 * (logdet[0] + logdet[1] - logdet[2]))


def dense(size: int, rho: float = 0.5) -> np.ndarray:
    """All 2 * size variables correlated by rho."""
    return np.full((2 * size, 2 * size), rho) + (1 - rho) * np.eye(2 * size)


def pairs(size: int, interacting: int, rho: float) -> np.ndarray:
    """The first `interacting` columns of x and y correlated by rho, pair by pair."""
    c = np.eye(2 * size)
    for i in range(interacting):
        c[i, size + i] = c[size + i, i] = rho
    return c


def student(dispersion: np.ndarray, split: int, freedom: float, after: Callable = lambda v: v):
    """Multivariate Student's t with this dispersion matrix."""
    chol = np.linalg.cholesky(dispersion)

    def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(rows, len(chol))) @ chol.T
        z = after(z / np.sqrt(rng.chisquare(freedom, size=(rows, 1)) / freedom))
        return z[:, :split], z[:, split:]

    return drawn


def student_truth(dispersion: np.ndarray, split: int, freedom: float) -> float:
    """The normal part plus what the shared scale gives (Arellano-Valle et al. 2013, eq. 17)."""

    def entropy(d: int) -> float:
        half = (freedom + d) / 2
        constant = gammaln(freedom / 2) - gammaln(half) + d / 2 * np.log(freedom * np.pi)
        return float(constant + half * (psi(half) - psi(freedom / 2)))

    d = len(dispersion)
    return gaussian_truth(dispersion, split) + entropy(split) + entropy(d - split) - entropy(d)


def half_cube(v: np.ndarray) -> np.ndarray:
    """sign(v) |v|^(3/2)."""
    return np.sign(v) * np.abs(v) ** 1.5


def wiggly(v: np.ndarray) -> np.ndarray:
    """A strictly increasing wave."""
    return v + 0.4 * np.sin(v) + 0.2 * np.sin(1.7 * v + 1)


def bimodal(v: np.ndarray) -> np.ndarray:
    """Normal scores mapped through the quantiles of an equal mixture of N(-2, 0.5^2) and N(2, 0.5^2)."""
    grid = np.linspace(-6, 6, 20_001)
    cdf = 0.5 * norm.cdf(grid, -2, 0.5) + 0.5 * norm.cdf(grid, 2, 0.5)
    keep = np.concatenate([[True], np.diff(cdf) > 0])
    return np.interp(ndtr(v), cdf[keep], grid[keep])


def spiral(speed: float, first: int, second: int) -> Callable:
    """Turns the plane of two columns by an angle that grows with the squared length of the row."""

    def turned(x: np.ndarray) -> np.ndarray:
        angle = speed * (x**2).sum(axis=1)
        out = x.copy()
        out[:, first] = np.cos(angle) * x[:, first] - np.sin(angle) * x[:, second]
        out[:, second] = np.sin(angle) * x[:, first] + np.cos(angle) * x[:, second]
        return out

    return turned


def additive(width: float) -> Callable:
    """x uniform on [0, 1], y = x + uniform noise on [-width, width]."""

    def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        x = rng.random((rows, 1))
        return x, x + rng.uniform(-width, width, size=(rows, 1))

    return drawn


def additive_truth(width: float) -> float:
    """width - log(2 width) up to a half, 1 / (4 width) above."""
    return width - np.log(2 * width) if width <= 0.5 else 1 / (4 * width)


def roll(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A Swiss roll of the uniform score of x (2 columns) against y; normal pair of correlation 0.8."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    y = 0.8 * x + 0.6 * rng.normal(size=rows)
    t = 1.5 * np.pi * (1 + 2 * ndtr(x))
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1) / 21, ndtr(y)[:, None]


def parabola(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """y = x^2 + noise / 2 in one column, 3 columns of noise on either side."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rows, 4)), rng.normal(size=(rows, 4))
    y[:, 0] = x[:, 0] ** 2 + 0.5 * y[:, 0]
    return x, y


def parabola_truth() -> float:
    """H(x^2 + e) - H(e) by quadrature."""
    grid = np.linspace(-4, 40, 44_001)
    x = np.linspace(-8, 8, 8_001)
    weight = norm.pdf(x) * (x[1] - x[0])
    density = np.concatenate([norm.pdf(g[:, None] - x**2, scale=0.5) @ weight for g in np.array_split(grid, 200)])
    density = np.maximum(density, 1e-300)
    entropy = -float((density * np.log(density)).sum() * (grid[1] - grid[0]))
    return entropy - 0.5 * np.log(2 * np.pi * np.e * 0.25)


def volume(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """6 columns of noise whose loudness exp(0.6 x1) follows one of 3 columns of x: no correlation at all."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return x, rng.normal(size=(rows, 6)) * np.exp(0.6 * x[:, :1])


def volume_truth() -> float:
    """I(x1; |y|): H(y) - H(y | x1), by quadrature over x1 and Monte Carlo over y."""
    rng = np.random.default_rng(99)
    s = rng.normal(size=200_000)
    radius = rng.chisquare(6, size=200_000) * np.exp(1.2 * s)
    nodes = np.linspace(-6, 6, 601)
    weight = norm.pdf(nodes) * (nodes[1] - nodes[0])
    marginal = np.concatenate(
        [np.exp(-0.5 * r[:, None] * np.exp(-1.2 * nodes) - 3.6 * nodes) @ weight for r in np.array_split(radius, 50)]
    )
    return float(np.mean(-0.5 * radius * np.exp(-1.2 * s) - 3.6 * s - np.log(marginal)))


def clusters(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """x (8) and y (8) share which of 4 far-apart clusters they are in and nothing else: truth log 4."""
    rng = np.random.default_rng(seed)
    where = np.random.default_rng(5).normal(size=(2, 4, 8)) * 4
    k = rng.integers(4, size=rows)
    return where[0, k] + rng.normal(size=(rows, 8)), where[1, k] + rng.normal(size=(rows, 8))


def signs(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The sign of y1 is that of x1 x2 nine times in ten; 4 columns a side, all normal, all uncorrelated."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rows, 4)), rng.normal(size=(rows, 4))
    y[:, 0] = np.abs(y[:, 0]) * np.sign(x[:, 0] * x[:, 1]) * np.where(rng.random(rows) < 0.1, -1, 1)
    return x, y


def bend(u: np.ndarray) -> np.ndarray:
    """Strictly increasing."""
    return u + 0.8 * np.tanh(2 * u)


def wide_pair(information: float, speed: float = 0.0) -> Callable:
    """16-d x against 256-d y: correlated normal cores through increasing maps and rotations; with `speed`, a spiral."""
    turn = np.random.default_rng(11)
    rx = np.linalg.qr(turn.normal(size=(CORE, CORE)))[0]
    ry = np.linalg.qr(turn.normal(size=(WIDE, WIDE)))[0]
    rho = np.sqrt(1 - np.exp(-2 * information / CORE))

    def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        a = rng.normal(size=(rows, CORE))
        b = rho * a + np.sqrt(1 - rho**2) * rng.normal(size=(rows, CORE))
        y = bend(np.concatenate([bend(b), 0.3 * rng.normal(size=(rows, WIDE - CORE))], axis=1) @ ry)
        if not speed:
            return bend(bend(a) @ rx).astype(np.float32), y.astype(np.float32)
        x = a.copy()
        for i in range(0, CORE, 2):
            x[:, i : i + 2] = turned_plane(a[:, i : i + 2], speed)
        return bend(x).astype(np.float32), y.astype(np.float32)

    return drawn


def turned_plane(x: np.ndarray, speed: float) -> np.ndarray:
    """Two columns turned by an angle that grows with their own length."""
    t = speed * np.hypot(x[:, 0], x[:, 1])
    return np.stack([np.cos(t) * x[:, 0] - np.sin(t) * x[:, 1], np.sin(t) * x[:, 0] + np.cos(t) * x[:, 1]], axis=1)


def vector_tasks() -> dict[str, Task]:
    """The targets of the issue first, then cases that the estimators were not tuned on one by one."""
    one, truth_one = dense(1, 0.75), gaussian_truth(dense(1, 0.75), 1)
    sparse_25 = pairs(25, 2, 0.8)
    three = pairs(3, 2, 0.8)
    eye_2, eye_6 = np.eye(2), np.eye(6)
    tasks = [
        *(Task(f"pair_{i}", wide_pair(i), i) for i in (2, 5, 0)),
        Task("pair_2s", wide_pair(2, speed=1.2), 2.0),
        Task("normal_1x1", gaussian(one, 1), truth_one),
        Task("normal_cdf_1x1", gaussian(one, 1, ndtr), truth_one),
        Task("half_cube_1x1", gaussian(one, 1, half_cube), truth_one),
        Task("bimodal_1x1", gaussian(one, 1, bimodal), truth_one),
        Task("dense_5x5", gaussian(dense(5), 5), gaussian_truth(dense(5), 5)),
        Task("dense_25x25", gaussian(dense(25), 25), gaussian_truth(dense(25), 25)),
        Task("sparse_25x25", gaussian(sparse_25, 25), gaussian_truth(sparse_25, 25)),
        Task("student_1x1", student(eye_2, 1, 1), student_truth(eye_2, 1, 1)),
        Task("asinh_student_3x3", student(eye_6, 3, 2, np.arcsinh), student_truth(eye_6, 3, 2)),
        Task("wiggly_1x1", gaussian(one, 1, wiggly), truth_one),
        Task("additive_0.1", additive(0.1), additive_truth(0.1)),
        Task("additive_0.75", additive(0.75), additive_truth(0.75)),
        Task("roll_2x1", roll, float(-np.log(0.6))),
        Task("spiral_3x3", gaussian(three, 3, twist=spiral(1 / 3, 0, 1)), gaussian_truth(three, 3)),
        Task("student_5x5", student(dense(5), 5, 3), student_truth(dense(5), 5, 3)),
        Task("cdf_25x25", gaussian(sparse_25, 25, ndtr), gaussian_truth(sparse_25, 25)),
        Task("parabola_4x4", parabola, parabola_truth()),
        Task("volume_3x6", volume, volume_truth()),
        Task("clusters_8x8", clusters, float(np.log(4.0))),
        Task("signs_4x4", signs, float(np.log(2.0) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1))),
        Task("null_5x5", gaussian(np.eye(10), 5, half_cube), 0.0),
    ]
    return {task.name: task for task in tasks}
