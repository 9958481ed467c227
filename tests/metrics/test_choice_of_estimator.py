"""Cases where one kind of estimator alone would be wrong: which one is chosen, and that the figure is right."""

import numpy as np
import pytest
import torch
from known_truths import emotions, gaussian_pair

from mise_hf.metrics import joint_information, label_information, vector_information
from mise_hf.metrics.mise_quality.adamw import AdamW
from mise_hf.metrics.mise_quality.critic import critic_bound
from mise_hf.metrics.mise_quality.nearest_neighbours import neighbour_shares, untied_scores
from mise_hf.metrics.mise_quality.normalisation import overshoot


def clusters(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """x (8) and y (8) share which of 4 far clusters they are in and nothing else: truth log 4."""
    rng = np.random.default_rng(seed)
    where = np.random.default_rng(5).normal(size=(2, 4, 8)) * 4
    k = rng.integers(4, size=rows)
    return where[0, k] + rng.normal(size=(rows, 8)), where[1, k] + rng.normal(size=(rows, 8))


def test_shared_clusters_are_not_overestimated():
    found = vector_information(*clusters(1200, seed=0))
    assert 1.0 < found.raw < np.log(4) + 0.05
    assert found.interval[0] < np.log(4)


def test_a_ratio_that_is_no_density_is_told_from_one_that_is():
    rng = np.random.default_rng(0)
    x, y, _ = gaussian_pair(0.8, 6, 1000, seed=1)
    assert not overshoot(x, y, rng).clear
    assert overshoot(*clusters(1000, seed=1), rng).clear


@pytest.mark.slow
def test_dependence_that_no_copula_sees():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1000, 4)), rng.normal(size=(1000, 4))
    y[:, 0] = np.abs(y[:, 0]) * np.sign(x[:, 0])
    y[:, 1] = x[:, 1] ** 2 + 0.3 * y[:, 1]
    found = vector_information(x, y)
    # The sign is worth log 2; the parabola more.
    assert 0.9 < found.raw < 2.2
    assert found.interval[0] > 0.4


def test_the_critic_is_held_out():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 5)), rng.normal(size=(600, 5))
    one = np.zeros(600, dtype=np.int64)
    bound = critic_bound(x, y, one, rng, lambda pilot, shares: True)
    assert abs(bound.shares.mean()) < 0.03
    assert critic_bound(x, y, one, rng, lambda pilot, shares: False) is None
    assert critic_bound(x[:100], y[:100], one[:100], rng, lambda pilot, shares: True) is None


@pytest.mark.parametrize("turn", ["opposed", "rotated"])
def test_joint_information_of_classes_with_laws_of_their_own(turn):
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=1200)
    text, speech = rng.normal(size=(1200, 4)), rng.normal(size=(1200, 4))
    other = -np.eye(4) if turn == "opposed" else np.roll(np.eye(4), 1, axis=0)
    turned = np.where(labels[:, None] == 0, text, text @ other)
    found = joint_information(labels, text, 0.7 * turned + np.sqrt(0.51) * speech)
    assert abs(found.raw + 2 * np.log(0.51)) < 0.10
    assert "a law for each class" in found.method


@pytest.mark.slow
def test_joint_information_of_an_exclusive_or():
    rng = np.random.default_rng(1)
    labels = rng.integers(2, size=2000)
    text, speech = rng.normal(size=(2000, 3)), rng.normal(size=(2000, 3))
    speech[:, 0] += 6.0 * (labels != (text[:, 0] > 0))
    found = joint_information(labels, text, speech)
    assert abs(found.raw - np.log(2)) < 0.20
    assert abs(label_information(labels, speech).raw) < 0.05


def test_ties_cost_nothing():
    x, y, truth = gaussian_pair(0.8, 1, 2000, seed=0)
    found = vector_information(np.round(x, 1), np.round(y, 1))
    assert abs(found.raw - truth) < 0.06
    rng = np.random.default_rng(0)
    # Zero-inflated Poisson of Gao et al. 2017, section 5: half of the rows lie on few values.
    rate = rng.exponential(size=(3000, 1))
    counts = np.where(rng.random((3000, 1)) < 0.15, 0, rng.poisson(rate)).astype(float)
    series = sum(np.log(k) * 2.0**-k for k in range(2, 60))
    shares = neighbour_shares(untied_scores(rate, rng), untied_scores(counts, rng))
    assert abs(shares.mean() - 0.85 * (2 * np.log(2) - np.euler_gamma - series)) < 0.08
    scores = untied_scores(np.array([[1.0], [0.0], [1.0], [0.0], [2.0]]), rng)[:, 0]
    assert len(set(scores)) == 5
    assert max(scores[1], scores[3]) < min(scores[0], scores[2]) < max(scores[0], scores[2]) < scores[4]


def test_heavy_tails_in_mixed_columns():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=1200)
    sources = rng.standard_t(1.5, size=(1200, 16))
    sources[:, :4] += 1.5 * labels[:, None]
    mixed = sources @ np.linalg.qr(rng.normal(size=(16, 16)))[0]
    found, unmixed = label_information(labels, mixed), label_information(labels, sources)
    assert "unmixed" in found.method
    assert abs(found.raw - unmixed.raw) < 0.08


def test_two_speakers_are_flagged_and_finite():
    labels, features, speakers = emotions(500, 8, seed=0)
    two = np.isin(speakers, ["s0", "s1"])
    found = label_information(labels[two], features[two], groups=speakers[two])
    assert np.isfinite(found.raw) and any("two groups" in flag for flag in found.flags)


def test_vectors_turned_or_blurred():
    x, y, truth = gaussian_pair(0.7, 4, 800, seed=2)
    plain = vector_information(x, y)
    rng = np.random.default_rng(3)
    turned = vector_information(x @ np.linalg.qr(rng.normal(size=(4, 4)))[0], y)
    assert plain.interval[0] <= turned.raw <= plain.interval[1]
    for scale in (0.5, 2.0):
        assert vector_information(x, y + scale * rng.normal(size=y.shape)).raw <= plain.interval[1]
    assert plain.interval[0] <= truth <= plain.interval[1]


def test_a_class_below_the_fold_count():
    labels, features, _ = emotions(120, 6, seed=4)
    labels = np.where(np.arange(120) < 2, "rare", labels)
    found = label_information(labels, features)
    assert np.isfinite(found.raw) and found.raw <= found.entropy


def test_adamw_is_that_of_torch():
    torch.manual_seed(0)
    start, x = torch.randn(4, 3), torch.randn(20, 4)
    ours, theirs = start.clone(), start.clone().requires_grad_()
    optimiser = AdamW([ours], rate=0.01, decay=0.1)
    reference = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for _ in range(5):
        optimiser.step((x @ ours).square().mean())
        reference.zero_grad()
        (x @ theirs).square().mean().backward()
        reference.step()
    assert torch.allclose(ours, theirs, atol=1e-6)
    assert not optimiser.values()[0].requires_grad
