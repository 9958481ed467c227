import numpy as np
import pytest
from known_truths import gaussian_pair
from scipy.special import gammaln, psi
from sklearn.feature_selection import mutual_info_regression

from mise_hf.metrics import joint_information, mutual_information, pointwise_vector_information, vector_information
from mise_hf.metrics.mise_quality.gaussian_copula import gaussian_information
from mise_hf.metrics.mise_quality.nearest_neighbours import neighbour_shares
from mise_hf.metrics.mise_quality.student_copula import shared_scale_information


@pytest.mark.parametrize(
    ("rho", "size", "tolerance"), [(0.75, 1, 0.03), (0.6, 5, 0.06), (0.5, 16, 0.10), (0.0, 8, 0.02)]
)
@pytest.mark.parametrize("bend", [lambda v: v, lambda v: np.sign(v) * np.abs(v) ** 1.5, np.arctan])
def test_increasing_maps_of_normals(rho, size, tolerance, bend):
    x, y, truth = gaussian_pair(rho, size, 3000, seed=1)
    found = vector_information(bend(x), bend(y))
    assert abs(found.raw - truth) < tolerance
    assert found.interval[0] <= truth <= found.interval[1]


def test_debiased_copula_is_unbiased_where_columns_are_many():
    raws = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        raws.append(gaussian_information(rng.normal(size=(300, 20)), rng.normal(size=(300, 40)))[0])
    # The plug-in value would be about 20 * 40 / (2 * 300) = 1.3 nats.
    assert abs(np.mean(raws)) < 4 * np.std(raws) / np.sqrt(20) + 0.02


@pytest.mark.parametrize(("size", "freedom"), [(1, 1.0), (3, 2.0)])
def test_student_dependence_without_correlation(size, freedom):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4000, 2 * size)) / np.sqrt(rng.chisquare(freedom, size=(4000, 1)) / freedom)
    truth = shared_scale_information(freedom, size, size)
    assert abs(vector_information(z[:, :size], np.arcsinh(z[:, size:])).raw - truth) < 0.05


def test_student_constant_against_published_values():
    assert shared_scale_information(1, 1, 1) == pytest.approx(0.2242, abs=2e-4)
    assert shared_scale_information(2, 3, 3) == pytest.approx(0.2909, abs=2e-4)
    assert shared_scale_information(1e7, 2, 3) == pytest.approx(0.0, abs=1e-5)
    half = (5 + 1) / 2
    entropy = gammaln(2.5) - gammaln(half) + 0.5 * np.log(5 * np.pi) + half * (psi(half) - psi(2.5))
    both = gammaln(2.5) - gammaln(3.5) + np.log(5 * np.pi) + 3.5 * (psi(3.5) - psi(2.5))
    assert shared_scale_information(5, 1, 1) == pytest.approx(2 * entropy - both)


def test_dependence_without_correlation():
    rng = np.random.default_rng(0)
    x = rng.random((3000, 1))
    y = x + rng.uniform(-0.1, 0.1, size=(3000, 1))
    assert abs(vector_information(x, y).raw - (0.1 - np.log(0.2))) < 0.08
    angle = rng.uniform(0, 2 * np.pi, size=(3000, 1))
    ring = np.cos(angle) + 0.1 * rng.normal(size=(3000, 1)), np.sin(angle) + 0.1 * rng.normal(size=(3000, 1))
    theirs = mutual_info_regression(ring[0], ring[1][:, 0], random_state=0)[0]
    assert theirs > 0.5
    assert abs(vector_information(*ring).raw - theirs) < 0.05


def test_nearest_neighbours_against_scikit_learn():
    x, y, truth = gaussian_pair(0.8, 1, 1500, seed=2)
    theirs = mutual_info_regression(x, y[:, 0], n_neighbors=4, random_state=0)[0]
    ours = neighbour_shares(x / x.std(), y / y.std()).mean()
    assert abs(ours - theirs) < 0.02
    assert abs(ours - truth) < 0.06


def test_spiral_in_three_columns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3))
    y = 0.8 * x + 0.6 * rng.normal(size=(4000, 3))
    angle = (x**2).sum(1) / 3
    x[:, 0], x[:, 1] = (
        np.cos(angle) * x[:, 0] - np.sin(angle) * x[:, 1],
        np.sin(angle) * x[:, 0] + np.cos(angle) * x[:, 1],
    )
    truth = -1.5 * np.log(1 - 0.64)
    found = vector_information(x, y)
    assert truth - 0.45 < found.raw < truth + 0.1
    assert "polynomial" in found.method


def test_repeated_rows_are_a_label():
    rng = np.random.default_rng(0)
    text = rng.normal(size=(10, 384))
    which = rng.integers(10, size=600)
    independent = vector_information(text[which], rng.normal(size=(600, 30)))
    assert abs(independent.raw) < 0.05
    assert independent.entropy == pytest.approx(np.log(10), abs=0.02)
    told = vector_information(text[which], np.eye(10)[which] * 6 + rng.normal(size=(600, 10)))
    assert 2.0 < told.raw <= told.entropy + 1e-9
    assert "10 distinct rows" in told.method
    swapped = vector_information(rng.normal(size=(600, 30)), text[which])
    assert "y repeats" in swapped.method
    both = vector_information(text[which], rng.normal(size=(4, 16))[which % 4])
    assert both.raw == pytest.approx(both.entropy, abs=0.05)


def test_joint_information_with_part_of_the_label_in_the_text():
    rng = np.random.default_rng(0)
    rows, size = 4000, 6
    labels = rng.integers(2, size=rows)
    shared = rng.normal(size=(rows, size))
    text = shared.copy()
    text[:, 0] += 1.0 * labels
    speech = 0.6 * shared + 0.8 * rng.normal(size=(rows, size))
    speech[:, 1] += 1.5 * labels
    # Given the label, text and speech are normal pairs; I(c; h) is that of two classes 1.5 apart in one column.
    z = np.linspace(-10, 10, 20_001)
    loss = (np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * np.logaddexp(0, -1.5 * (z + 0.75))).sum() * (z[1] - z[0])
    truth = np.log(2) - loss - 0.5 * size * np.log(1 - 0.36)
    found = joint_information(labels, text, speech)
    assert abs(found.raw - truth) < 0.10


def test_joint_information_with_repeated_text():
    rng = np.random.default_rng(1)
    labels, sentence = rng.integers(3, size=900), rng.integers(2, size=900)
    speech = np.eye(3)[labels] * 4 @ rng.normal(size=(3, 12)) + rng.normal(size=(900, 12))
    found = joint_information(labels, rng.normal(size=(2, 50))[sentence], speech)
    assert abs(found.raw - np.log(3)) < 0.1
    assert found.entropy == pytest.approx(np.log(6), abs=0.02)


def test_more_columns_than_rows_is_flagged():
    x, y, _ = gaussian_pair(0.9, 3, 200, seed=3)
    noise = np.random.default_rng(4).normal(size=(200, 300)) * 0.05
    found = vector_information(np.concatenate([x, noise], 1), np.concatenate([y, noise[::-1]], 1))
    assert any("columns are too many" in flag for flag in found.flags)
    assert np.isfinite(found.raw)


def test_row_order_and_scale_do_not_matter():
    x, y, _ = gaussian_pair(0.5, 4, 400, seed=5)
    first = vector_information(x, y).raw
    order = np.random.default_rng(0).permutation(400)
    assert vector_information(x[order], y[order]).raw == first
    assert vector_information(x * 5, y * 0.01).raw == pytest.approx(first, abs=1e-9)


def test_permutations_and_pointwise():
    x, y, _ = gaussian_pair(0.6, 4, 500, seed=6)
    found = vector_information(x, y, n_permutations=10)
    assert abs(found.null_mean) < 0.04 and found.null_95 < found.raw
    shares = pointwise_vector_information(x, y)
    assert shares.mean() == pytest.approx(found.raw)
    exact = -0.5 * np.log(1 - 0.36) * 4 + ((y**2) / 2 - (y - 0.6 * x) ** 2 / 2 / 0.64).sum(1)
    assert np.corrcoef(shares, exact)[0, 1] > 0.95


def test_one_door():
    x, y, _ = gaussian_pair(0.6, 3, 300, seed=7)
    labels = (x[:, 0] > 0).astype(int)
    assert mutual_information(x, y).raw == vector_information(x, y).raw
    assert mutual_information(labels, y).raw == mutual_information(y, labels).raw
    with pytest.raises(ValueError, match="both sides are labels"):
        mutual_information(labels, labels)
    with pytest.raises(ValueError, match="groups"):
        mutual_information(x, y, groups=labels)


@pytest.mark.parametrize("function", [np.square, np.abs, lambda x: np.sin(5 * x), lambda x: x**3])
def test_a_side_that_determines_the_other_is_flagged(function):
    x = np.random.default_rng(0).normal(size=(1000, 1))
    found = vector_information(x, function(x))
    assert found.raw > 1.5 and "cap" in " ".join(found.flags)


def test_finite_information_is_not_called_a_cap():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 1))
    assert not vector_information(x, x**2 + 0.3 * rng.normal(size=(1000, 1))).flags


def test_a_label_in_place_of_the_second_side_adds_nothing():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=150)
    words = rng.normal(size=(150, 4)) + labels[:, None]
    found = joint_information(labels, words, np.eye(3)[labels])
    assert abs(found.raw - np.log(3)) < 0.05
