"""Columns that tell only two at a time, labels that are wrong now and then, and no learning curve out of noise."""

import numpy as np
import pytest

from mise_hf.metrics import label_information
from mise_hf.metrics.mise_quality.interactions import interacting_columns

# log 2 less the entropy of a label that is right nine times in ten.
NINE_IN_TEN = np.log(2) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1)


def chequered(rows: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The sign of the product of columns 3 and 7, wrong one time in ten."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns))
    labels = (features[:, 3] * features[:, 7] > 0) ^ (rng.random(rows) < 0.1)
    return labels.astype(int), features


def test_interacting_columns_are_found_and_only_they():
    labels, features = chequered(2000, 100, 0)
    assert set(interacting_columns(np.tanh(features), labels, 8)) == {3, 7}


def test_a_class_mean_is_no_interaction_and_noise_hardly_ever_one():
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(20):
        labels = rng.integers(3, size=600)
        features = rng.normal(size=(600, 40))
        features[:, :2] += labels[:, None]
        found += len(interacting_columns(features, labels, 8)) > 0
    assert found <= 4


@pytest.mark.slow
def test_an_interaction_among_many_columns_is_measured():
    found = label_information(*chequered(4000, 128, 2))
    assert abs(found.raw - NINE_IN_TEN) < 0.06
    assert found.interval[0] < NINE_IN_TEN < found.interval[1]


def test_wrong_labels_level_the_posterior_off():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(3000, 12))
    right = features @ rng.normal(size=12) > 0
    labels = (right ^ (rng.random(3000) < 0.1)).astype(int)
    assert abs(label_information(labels, features).raw - NINE_IN_TEN) < 0.03


def test_a_few_rows_of_noise_are_not_extrapolated_into_information():
    raws = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        raws.append(label_information(rng.permutation(np.arange(100) % 4), rng.normal(size=(100, 64))).raw)
    assert max(raws) < 0.08
