import time

import numpy as np
import pytest
from known_truths import emotions

from mise_hf.features import load_embedded
from mise_hf.metrics import carried_information, label_information, pointwise_carried_information
from mise_hf.metrics.mise_quality.held_out_real import cross_fitted_carried


@pytest.fixture(scope="module")
def emodb():
    """Layer 3 of EmoDB in 64 principal components of the training speakers: training rows and labels, test rows, ..."""
    table = load_embedded("emodb")
    test = np.isin(table.speakers, sorted(set(table.speakers))[:3])
    states = table.layer(3)
    mean, scale = states[~test].mean(0), states[~test].std(0) + 1e-6
    z = (states - mean) / scale
    axes = np.linalg.svd(z[~test], full_matrices=False)[2][:64]
    z = z @ axes.T
    return z[~test], table.labels[~test], z[test], table.labels[test], table.speakers[test]


def gaussian(features, labels, rows_per_class, seed):
    """A class-conditional normal generator with shared covariance."""
    rng = np.random.default_rng(seed)
    means = np.stack([features[labels == c].mean(0) for c in range(7)])
    within = features - means[labels]
    covariance = 0.9 * within.T @ within / len(within)
    covariance += 0.1 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    drawn = np.repeat(np.arange(7), rows_per_class)
    noise = rng.normal(size=(len(drawn), features.shape[1])) @ np.linalg.cholesky(covariance).T
    return means, drawn, means[drawn] + noise


def test_good_generator_passes_collapsed_and_shuffled_ones_fail(emodb):
    training, labels, real, real_labels, speakers = emodb
    wanted = carried_information(training, labels, real, real_labels, speakers).raw
    means, drawn, good = gaussian(training, labels, len(labels) // 7, seed=0)
    assert wanted > 1.2
    assert carried_information(good, drawn, real, real_labels, speakers).raw > 0.9 * wanted
    assert carried_information(means[drawn], drawn, real, real_labels).raw < 0.5 * wanted
    rng = np.random.default_rng(1)
    near_points = means[drawn] + 0.01 * rng.normal(size=good.shape)
    assert carried_information(near_points, drawn, real, real_labels).raw < 0.8 * wanted
    _, drawn, confused = gaussian(training, rng.permutation(labels), len(labels) // 7, seed=2)
    assert carried_information(confused, drawn, real, real_labels).raw < 0.1
    # What the synthetic rows say on their own is no warning at all.
    own = label_information(drawn, confused)
    assert own.interval[0] > 0.05 and own.raw > 0.15


def test_few_rows_and_many_columns(emodb):
    training, labels, real, real_labels, _ = emodb
    keep = np.random.default_rng(0).permutation(len(labels))[:120]
    found = carried_information(training[keep], labels[keep], real, real_labels)
    assert 0.6 < found.raw < found.entropy


def test_fast_enough_for_a_demo():
    labels, features, speakers = emotions(800, 128, seed=0)
    carried_information(features[:400], labels[:400], features[400:], labels[400:], speakers[400:])
    started = time.process_time()
    for _ in range(5):
        carried_information(features[:400], labels[:400], features[400:], labels[400:], speakers[400:])
    assert (time.process_time() - started) / 5 < 0.6


def test_missing_class_is_flagged_and_counts():
    labels, features, _ = emotions(600, 16, seed=1)
    keep = labels[:300] != "fear"
    found = carried_information(features[:300][keep], labels[:300][keep], features[300:], labels[300:])
    full = carried_information(features[:300], labels[:300], features[300:], labels[300:])
    assert "no synthetic row of fear" in found.flags[0]
    assert found.raw < full.raw
    shares = pointwise_carried_information(features[:300][keep], labels[:300][keep], features[300:], labels[300:])
    assert shares.mean() == pytest.approx(found.raw)
    assert shares[labels[300:] == "fear"].max() < 0


def test_null_order_and_reference():
    labels, features, speakers = emotions(500, 16, seed=2)
    found = carried_information(features[:250], labels[:250], features[250:], labels[250:], n_permutations=10)
    assert found.null_mean < 0.1 and found.null_95 < found.raw
    order = np.random.default_rng(0).permutation(250)
    again = carried_information(features[:250][order], labels[:250][order], features[250:], labels[250:])
    assert again.raw == found.raw
    assert 0 < cross_fitted_carried(features, labels, speakers).raw < found.entropy


def test_labels_that_do_not_match():
    labels, features, _ = emotions(100, 8, seed=3)
    with pytest.raises(ValueError, match="no label in common"):
        carried_information(features, np.arange(100) % 3, features, labels)
    with pytest.raises(ValueError, match="one class only"):
        carried_information(features, ["anger"] * 100, features, labels)
    with pytest.raises(ValueError, match="columns"):
        carried_information(features[:, :4], labels, features, labels)
