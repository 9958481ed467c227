from itertools import product

import numpy as np
import pytest
from sklearn.metrics import recall_score

from mise_hf.benchmark.statistics import swap_test, unweighted_average_recall


def random_case(seed: int, speakers: int = 6, rows: int = 90):
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=rows)
    who = np.array([f"s{i}" for i in rng.integers(speakers, size=rows)])
    first = np.where(rng.uniform(size=rows) < 0.7, labels, rng.integers(4, size=rows))
    second = np.where(rng.uniform(size=rows) < 0.5, labels, rng.integers(4, size=rows))
    return labels, who, first, second


def test_uar_agrees_with_scikit_learn():
    labels, _, first, _ = random_case(0)
    assert unweighted_average_recall(labels, first) == pytest.approx(recall_score(labels, first, average="macro"))


@pytest.mark.parametrize("seed", range(3))
def test_the_swap_test_agrees_with_swapping_by_hand(seed):
    labels, who, first, second = random_case(seed)
    names = np.unique(who)
    differences = []
    for swapped in product((False, True), repeat=len(names)):
        turn = np.isin(who, names[list(swapped)])
        a, b = np.where(turn, second, first), np.where(turn, first, second)
        differences.append(recall_score(labels, a, average="macro") - recall_score(labels, b, average="macro"))
    found = swap_test(labels, who, first, second)
    assert found.difference == pytest.approx(differences[0])
    assert found.p_value == pytest.approx(np.mean(np.abs(differences) >= abs(differences[0]) - 1e-12))


def test_equal_predictions_have_p_one_and_many_speakers_are_drawn():
    labels, who, first, second = random_case(1)
    assert swap_test(labels, who, first, first).p_value == 1.0
    labels, who, first, second = random_case(1, speakers=30, rows=2000)
    drawn = swap_test(labels, who, first, second)
    assert 0 < drawn.p_value < 0.01 and drawn == swap_test(labels, who, first, second)


def test_under_no_difference_p_is_uniform():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(300):
        labels, who = rng.integers(3, size=80), np.repeat(np.arange(10), 8).astype(str)
        first, second = (np.where(rng.uniform(size=80) < 0.6, labels, (labels + 1) % 3) for _ in range(2))
        values.append(swap_test(labels, who, first, second).p_value)
    assert 0.02 < np.mean(np.array(values) < 0.05) < 0.09


def test_draws_of_a_speaker_are_swapped_together():
    labels, who, first, second = random_case(2)
    one = swap_test(labels, who, first, second)
    assert swap_test(labels, who, np.stack([first] * 3), np.stack([second] * 3)) == one


def test_unequal_lengths_are_refused():
    labels, who, first, second = random_case(3)
    with pytest.raises(ValueError, match="same number of rows"):
        swap_test(labels, who, first, second[:-1])
