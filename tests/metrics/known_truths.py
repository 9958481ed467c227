"""Small tasks whose mutual information is exact, for the tests."""

import numpy as np


def gaussian_pair(rho: float, size: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """x and y (rows, size), correlated by rho column by column, and I(x; y) = -size / 2 log(1 - rho^2) nats."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, size))
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=(rows, size))
    return x, y, -0.5 * size * np.log(1 - rho**2)


def two_classes(distance: float, columns: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Two equal classes `distance` apart along one axis, unit noise in `columns`; labels, features and I(c; h)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=rows)
    features = rng.normal(size=(rows, columns))
    features[:, 0] += distance * labels
    grid = np.linspace(-10, 10, 20_001)
    density = np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi)
    # log-odds of the true class are distance * (z + distance / 2) with z standard normal.
    loss = np.logaddexp(0, -distance * (grid + distance / 2))
    return labels, features, float(np.log(2) - (density * loss).sum() * (grid[1] - grid[0]))


def emotions(rows: int, columns: int, seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seven classes, ten speakers with offsets of their own: labels (names), features, speakers."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(1).normal(size=(7, columns)) * np.geomspace(1.2, 0.05, columns)
    offsets = np.random.default_rng(2).normal(size=(10, columns)) * np.geomspace(1.0, 0.1, columns)
    codes, speakers = rng.integers(7, size=rows), rng.integers(10, size=rows)
    features = means[codes] + offsets[speakers] + spread * rng.normal(size=(rows, columns)) * 0.5
    names = np.array(["anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness"])
    return names[codes], features.astype(np.float32), np.array([f"s{s}" for s in speakers])
