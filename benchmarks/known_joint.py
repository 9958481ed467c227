"""I((c, t); h) with a known truth: part of the label is inside t. Each task draws labels, text vectors and speech."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from known_labels import Task
from scipy.special import logsumexp

SIZE = 12


def text_and_speech(rho: float, label_in_text: float, wide: int = 64) -> Callable:
    """c in 4 classes; given c, t and h are normal, correlated by rho in SIZE columns; class means on both sides."""
    text_means = label_in_text * np.random.default_rng(21).normal(size=(4, SIZE))
    speech_means = 0.6 * np.random.default_rng(22).normal(size=(4, wide))
    speech_means[:, :SIZE] = 0

    def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        labels = rng.integers(4, size=rows)
        core = rng.normal(size=(rows, SIZE))
        speech = rng.normal(size=(rows, wide))
        speech[:, :SIZE] = rho * core + np.sqrt(1 - rho**2) * speech[:, :SIZE]
        return labels, core + text_means[labels], speech + speech_means[labels]

    return drawn


def truth(rho: float, wide: int = 64) -> float:
    """I(c; h) by Monte Carlo plus I(t; h | c) = -SIZE / 2 log(1 - rho^2)."""
    means = 0.6 * np.random.default_rng(22).normal(size=(4, wide))[:, SIZE:]
    rng = np.random.default_rng(99)
    labels = rng.integers(4, size=200_000)
    log_p = np.empty((len(labels), 4))
    z = rng.normal(size=(len(labels), wide - SIZE)) + means[labels]
    for k in range(4):
        log_p[:, k] = -0.5 * ((z - means[k]) ** 2).sum(axis=1)
    information = np.log(4.0) + (log_p[np.arange(len(labels)), labels] - logsumexp(log_p, axis=1)).mean()
    return float(information - 0.5 * SIZE * np.log(1 - rho**2))


def joint_tasks() -> dict[str, Task]:
    """Text that says part of the label, and text that says none of it."""
    tasks = [
        Task("joint_text", text_and_speech(0.4, 0.5), truth(0.4)),
        Task("joint_null_text", text_and_speech(0.0, 0.0), truth(0.0)),
    ]
    return {task.name: task for task in tasks}
