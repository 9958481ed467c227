import numpy as np
import pytest
from known_truths import emotions, two_classes
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from mise_hf.metrics import label_information, pointwise_label_information
from mise_hf.metrics.mise_quality.linear_classifier import fit_linear
from mise_hf.metrics.mise_quality.posteriors import kinds_for


@pytest.mark.parametrize(("distance", "columns"), [(0.0, 64), (1.0, 64), (3.0, 200)])
def test_closed_form(distance, columns):
    labels, features, truth = two_classes(distance, columns, 1500, seed=3)
    found = label_information(labels, features)
    assert abs(found.raw - truth) < 0.05
    assert found.interval[0] <= truth <= found.interval[1]
    assert 0 <= found.value <= found.entropy


@pytest.mark.parametrize("m", [4, 8])
def test_uniform_mixture(m):
    rng = np.random.default_rng(0)
    labels = rng.integers(m, size=3000)
    features = labels[:, None] + rng.uniform(0, 2, size=(3000, 1))
    truth = np.log(m) - (m - 1) / m * np.log(2)
    assert abs(label_information(labels, features).raw - truth) < 0.05


def test_second_implementation():
    labels, features, truth = two_classes(1.5, 10, 2000, seed=5)
    proba = cross_val_predict(LogisticRegression(), features, labels, cv=5, method="predict_log_proba")
    theirs = np.log(2) + proba[np.arange(len(labels)), labels].mean()
    assert abs(label_information(labels, features).raw - theirs) < 0.02
    assert abs(theirs - truth) < 0.05


def test_class_spread_without_a_difference_of_means():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=2000)
    features = rng.normal(size=(2000, 6)) * np.where(labels, 2.0, 1.0)[:, None]
    found = label_information(labels, features)
    radius = (features**2).sum(1)
    log_odds = 0.5 * radius * (1 - 0.25) - 6 * np.log(2.0)
    truth = np.log(2) - np.logaddexp(0, np.where(labels, -log_odds, log_odds)).mean()
    assert abs(found.raw - truth) < 0.06


def test_small_and_wide_is_neither_blind_nor_inventive():
    labels, features, _ = emotions(140, 1024, seed=0)
    found = label_information(labels, features)
    assert found.raw > 0.8
    shuffled = label_information(np.random.default_rng(0).permutation(labels), features)
    assert abs(shuffled.raw) < 0.2


def test_groups_keep_speakers_from_passing_for_emotion():
    rng = np.random.default_rng(0)
    speakers = rng.integers(12, size=480)
    # Each speaker has one favourite emotion: the speaker tells the label, the voice of a new speaker does not.
    labels = np.where(rng.random(480) < 0.9, speakers % 3, rng.integers(3, size=480))
    features = rng.normal(size=(12, 40))[speakers] * 2 + rng.normal(size=(480, 40))
    assert label_information(labels, features).raw > 0.5
    assert label_information(labels, features, groups=speakers).raw < 0.1


def test_invariances_are_exact():
    labels, features, _ = emotions(300, 24, seed=1)
    first = label_information(labels, features).raw
    order = np.random.default_rng(0).permutation(300)
    assert label_information(labels[order], features[order]).raw == first
    assert label_information(labels, features * 8).raw == pytest.approx(first, abs=1e-9)
    renamed = np.array([f"{hash(name) % 97}{name[::-1]}" for name in labels])
    assert label_information(renamed, features).raw == first
    turned = features @ np.linalg.qr(np.random.default_rng(3).normal(size=(24, 24)))[0]
    low, high = label_information(labels, features).interval
    assert low <= label_information(labels, turned).raw <= high


def test_noise_never_adds_information():
    labels, features, _ = emotions(400, 16, seed=2)
    clear = label_information(labels, features)
    for scale in (0.3, 1.0, 3.0):
        noisy = label_information(labels, features + scale * np.random.default_rng(4).normal(size=features.shape))
        assert noisy.raw <= clear.interval[1]


def test_permutations_are_refitted_and_seeded():
    labels, features, _ = two_classes(1.5, 30, 300, seed=6)
    found = label_information(labels, features, n_permutations=5, seed=4)
    assert abs(found.null_mean) < 0.03
    assert found.null_mean <= found.null_95 < found.raw
    assert found.null_seconds > found.seconds
    again = label_information(labels, features, n_permutations=5, seed=4)
    assert (again.raw, again.null_mean, again.null_95) == (found.raw, found.null_mean, found.null_95)
    assert np.isnan(label_information(labels, features).null_mean)


def test_bits_and_pointwise():
    labels, features, _ = two_classes(2.0, 8, 300, seed=7)
    nats, bits = label_information(labels, features), label_information(labels, features, base=2)
    assert bits.raw == pytest.approx(nats.raw / np.log(2))
    assert bits.interval[0] == pytest.approx(nats.interval[0] / np.log(2))
    shares = pointwise_label_information(labels, features)
    assert shares.mean() == pytest.approx(nats.raw)
    # Rows on the right side of the middle score higher than rows on the wrong one.
    right = (features[:, 0] > 1.0) == labels
    assert shares[right].mean() > shares[~right].mean() + 1.0


def test_left_out_scores_are_those_of_refits():
    labels, features, _ = two_classes(1.0, 5, 200, seed=8)
    model = fit_linear(features, labels, 2)
    rng = np.random.default_rng(0)
    fresh_labels, fresh, truth = two_classes(1.0, 5, 20_000, seed=9)
    rows = np.arange(200)
    inside = model.held_out[rows, labels].mean()
    outside = model.log_proba(fresh)[np.arange(20_000), fresh_labels].mean()
    assert abs(inside - outside) < 0.06
    assert abs(np.log(2) + outside - truth) < 0.03
    assert np.allclose(np.exp(model.log_proba(rng.normal(size=(9, 5)))).sum(1), 1.0)


@pytest.mark.parametrize("rows", [60, 120, 300])
def test_few_rows_are_not_ruled_by_luck(rows):
    truth, found = 0.75, []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        labels = rng.integers(3, size=rows)
        features = rng.normal(size=(rows, 6)) + labels[:, None]
        information = label_information(labels, features, seed=seed)
        assert information.interval[0] <= truth <= information.interval[1] <= information.entropy
        found.append(information.raw)
    assert abs(np.mean(found) - truth) < 0.12 and np.std(found) < 0.25


def test_tails_that_mixing_hides_are_unmixed():
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    assert "unmixed" in kinds_for(rng.laplace(size=(2000, 10)) @ mixing)
    assert "unmixed" not in kinds_for(rng.normal(size=(2000, 10)) @ mixing)


@pytest.mark.parametrize("rows", [120, 1000])
def test_a_column_that_is_nearly_constant_says_nothing(rows):
    labels = np.random.default_rng(0).integers(3, size=rows)
    assert abs(label_information(labels, np.eye(rows)[:, :1]).raw) < 0.01
