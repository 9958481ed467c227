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


def synergy(rho: float, opposed: bool, wide: int = 64) -> Callable:
    """The same, but how h follows t depends on the class: opposed signs, or a rotation of its own for each class.

    Nothing of it shows in the core of h without c, nor in the pairs (t, h) without c.
    """
    turn = np.random.default_rng(23)
    rotations = np.stack([np.linalg.qr(turn.normal(size=(SIZE, SIZE)))[0] for _ in range(4)])
    if opposed:
        rotations = np.array([1.0, -1.0, 1.0, -1.0])[:, None, None] * np.eye(SIZE)
    speech_means = 0.6 * np.random.default_rng(22).normal(size=(4, wide))
    speech_means[:, :SIZE] = 0

    def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        labels = rng.integers(4, size=rows)
        text = rng.normal(size=(rows, SIZE))
        speech = rng.normal(size=(rows, wide))
        turned = np.einsum("nij,nj->ni", rotations[labels], text)
        speech[:, :SIZE] = rho * turned + np.sqrt(1 - rho**2) * speech[:, :SIZE]
        return labels, text, speech + speech_means[labels]

    return drawn


def exclusive_or(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """2 classes; h1 = N(0, 1) + 3 where the label differs from the sign of t1: nothing without both. 8 x 8 columns."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=rows)
    text, speech = rng.normal(size=(rows, 8)), rng.normal(size=(rows, 8))
    speech[:, 0] += 3.0 * (labels != (text[:, 0] > 0))
    return labels, text, speech


def exclusive_or_truth() -> float:
    """I of an even binary variable with two unit normals 3 apart."""
    z = np.linspace(-12, 12, 48_001)
    loss = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * np.logaddexp(0, -3.0 * (z + 1.5))
    return float(np.log(2.0) - loss.sum() * (z[1] - z[0]))


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
        Task("joint_opposed", synergy(0.4, True), truth(0.4)),
        Task("joint_turned", synergy(0.4, False), truth(0.4)),
        Task("joint_xor", exclusive_or, exclusive_or_truth()),
    ]
    return {task.name: task for task in tasks}
