import numpy as np
import pytest

from mise_hf.benchmark.controls import CONTROLS


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_make_the_wanted_rows_near_their_class(name):
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    features = rng.normal(size=(120, 5)) + 6 * labels[:, None]
    wanted = np.array([2, 2, 0, 1] * 20)
    made = CONTROLS[name](features, labels, wanted, seed=0)
    assert made.shape == (80, 5) and np.isfinite(made).all()
    nearest = np.abs(made.mean(1)[:, None] - 6 * np.arange(3)).argmin(1)
    assert np.mean(nearest == wanted) > 0.95
    assert np.array_equal(made, CONTROLS[name](features, labels, wanted, seed=0))
    assert not np.array_equal(made, CONTROLS[name](features, labels, wanted, seed=1))
    known = {row.tobytes() for row in features}
    assert not any(row.tobytes() in known for row in made)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_class_of_one_row_is_no_obstacle(name):
    """Inner folds of a small share have such."""
    features, labels = np.random.default_rng(0).normal(size=(9, 3)), np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    made = CONTROLS[name](features, labels, np.array([2, 0, 2, 1]), seed=0)
    assert made.shape == (4, 3) and np.isfinite(made).all()


def test_the_gaussian_has_the_shared_covariance():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(4, 4))
    labels = np.arange(3000) % 2
    features = rng.normal(size=(3000, 4)) @ mixing.T + 5 * labels[:, None]
    made = CONTROLS["class Gaussian"](features, labels, np.zeros(5000, dtype=int), seed=1)
    assert np.allclose(np.cov(made.T), mixing @ mixing.T, rtol=0.15, atol=0.4)
