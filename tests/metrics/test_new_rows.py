import numpy as np
import pytest
from known_truths import emotions, two_classes

from mise_hf.metrics import label_information, pointwise_new_label_information


def test_scores_of_new_rows_are_the_true_log_ratios():
    labels, features, _ = two_classes(2.0, 6, 1500, seed=0)
    new_labels, new, truth = two_classes(2.0, 6, 2000, seed=1)
    scores = pointwise_new_label_information(labels, features, new_labels, new)
    sign = np.where(new_labels == 1, 1.0, -1.0)
    exact = np.log(2) - np.logaddexp(0, -sign * 2.0 * (new[:, 0] - 1.0))
    assert scores.shape == (2000,)
    assert np.corrcoef(scores, exact)[0, 1] > 0.98
    assert abs(scores.mean() - truth) < 0.05
    assert scores.max() <= np.log(2) + 0.05


def test_mean_over_fresh_rows_agrees_with_the_estimate():
    labels, features, speakers = emotions(700, 24, seed=2)
    scores = pointwise_new_label_information(
        labels[:400], features[:400], labels[400:], features[400:], groups=speakers[:400]
    )
    found = label_information(labels, features, groups=speakers)
    assert abs(scores.mean() - found.raw) < 0.25
    wrong = np.roll(np.unique(labels), 1)[np.unique(labels, return_inverse=True)[1]]
    swapped = pointwise_new_label_information(labels[:400], features[:400], wrong[400:], features[400:])
    assert swapped.mean() < -1.0 < 0.5 < scores.mean()


def test_one_row_any_order_any_names():
    labels, features, _ = emotions(200, 8, seed=3)
    scores = pointwise_new_label_information(labels[:150], features[:150], labels[150:], features[150:])
    alone = pointwise_new_label_information(labels[:150], features[:150], labels[150:151], features[150:151])
    assert alone == pytest.approx(scores[:1], abs=1e-6)
    order = np.random.default_rng(0).permutation(150)
    codes = np.unique(labels, return_inverse=True)[1] * 3 - 5
    again = pointwise_new_label_information(codes[:150][order], features[:150][order], codes[150:], features[150:])
    assert np.allclose(again, scores, atol=1e-6)


def test_bad_input_says_what_to_do():
    labels, features, _ = emotions(100, 8, seed=4)
    with pytest.raises(ValueError, match=r"labels holds \['joy'\], which train_labels does not"):
        pointwise_new_label_information(labels, features, ["joy"], features[:1])
    with pytest.raises(ValueError, match="features has 4 columns, train_features has 8"):
        pointwise_new_label_information(labels, features, labels, features[:, :4])
    with pytest.raises(ValueError, match="features has 0 rows"):
        pointwise_new_label_information(labels, features, [], features[:0])
    with pytest.raises(ValueError, match="one class only"):
        pointwise_new_label_information(labels[:1].repeat(100), features, labels[:1], features[:1])
    with pytest.raises(ValueError, match="train_features: every column is constant"):
        pointwise_new_label_information(labels, np.ones((100, 8)), labels, features)
