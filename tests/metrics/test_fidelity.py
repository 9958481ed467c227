import numpy as np
import pytest
from prdc import compute_prdc
from scipy.linalg import sqrtm
from sklearn.metrics import recall_score
from vendi_score import vendi

from mise_hf.metrics.mise_quality.fidelity import (
    frechet,
    frechet_distance,
    neighbourhood,
    transfer_recall,
    vendi_score,
)
from mise_hf.metrics.mise_quality.memorisation import memorisation


@pytest.fixture
def sets():
    rng = np.random.default_rng(0)
    return rng.normal(size=(700, 24)), 0.9 * rng.normal(size=(500, 24)) + 0.1


def test_neighbourhood_against_prdc(sets):
    theirs = compute_prdc(*sets, nearest_k=5)
    ours = neighbourhood(*sets, k=5)
    for name, value in theirs.items():
        assert getattr(ours, name) == pytest.approx(value, abs=1e-12)


def test_frechet_against_the_matrix_square_root(sets):
    a, b = sets
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    wanted = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-6)
    assert frechet_distance(a, a + 2.0) == pytest.approx(24 * 4.0, rel=1e-6)
    few = frechet_distance(a[:10], b[:12])
    cov_a, cov_b = np.cov(a[:10].T), np.cov(b[:12].T)
    shift = ((a[:10].mean(0) - b[:12].mean(0)) ** 2).sum()
    assert few == pytest.approx(shift + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real), rel=1e-4)


def test_frechet_floor_is_what_a_perfect_generator_scores(sets):
    rng = np.random.default_rng(1)
    same = frechet(sets[0], rng.normal(size=(700, 24)))
    assert same.rows == 350
    assert 0.8 < same.distance / same.floor < 1.2
    other = frechet(sets[0], rng.normal(size=(700, 24)) + 1)
    assert other.distance > 3 * other.floor_95


def test_vendi_against_vendi_score(sets):
    x = sets[0]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert vendi_score(x) == pytest.approx(vendi.score_K(unit @ unit.T), rel=1e-6)
    assert vendi_score(np.tile(x[:1], (50, 1))) == pytest.approx(1.0)
    assert vendi_score(np.eye(30)) == pytest.approx(30.0)


def test_transfer_recall():
    rng = np.random.default_rng(0)
    labels = rng.choice(["a", "b", "c"], p=[0.8, 0.1, 0.1], size=900)
    features = np.array([[0, 0], [4, 0], [0, 4]])[np.searchsorted(["a", "b", "c"], labels)] + rng.normal(size=(900, 2))
    found = transfer_recall(features[:450], labels[:450], features[450:], labels[450:])
    nearest = np.linalg.norm(features[450:, None] - np.array([[0, 0], [4, 0], [0, 4]]), axis=2).argmin(1)
    wanted = recall_score(labels[450:], np.array(["a", "b", "c"])[nearest], average="macro")
    assert abs(found - wanted) < 0.04
    assert (
        abs(transfer_recall(features[:450], rng.permutation(labels[:450]), features[450:], labels[450:]) - 1 / 3) < 0.2
    )


@pytest.fixture
def speech():
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(6), 60)
    rows = 3.0 * rng.normal(size=(6, 20))[speakers] + rng.normal(size=(360, 20))
    kept = rng.permutation(360) < 240
    return rows, speakers, kept, rng


def test_memorisation_finds_copies_and_only_copies(speech):
    rows, speakers, kept, rng = speech
    sides = dict(training_speakers=speakers[kept], withheld_speakers=speakers[~kept])
    copied = rows[kept][:100] + 0.01 * rng.normal(size=(100, 20))
    found = memorisation(copied, rows[kept], rows[~kept], **sides)
    assert found.share > 0.95 and found.nearer > 0.95
    own = 3.0 * np.random.default_rng(0).normal(size=(6, 20))[rng.integers(6, size=200)] + rng.normal(size=(200, 20))
    honest = memorisation(own, rows[kept], rows[~kept], **sides)
    assert honest.share <= honest.null_95 + 0.06
    assert 0.01 < honest.null_mean < 0.12
    assert honest == memorisation(own, rows[kept], rows[~kept], **sides)


def test_rows_nearer_to_the_middle_are_no_copies(speech):
    rows, speakers, kept, rng = speech
    sides = dict(training_speakers=speakers[kept], withheld_speakers=speakers[~kept])
    means = 3.0 * np.random.default_rng(0).normal(size=(6, 20))
    central = means[rng.integers(6, size=400)] + 0.7 * rng.normal(size=(400, 20))
    found = memorisation(central, rows[kept], rows[~kept], **sides)
    assert found.share > found.null_95 and not found.copied
    copied = rows[kept][rng.integers(int(kept.sum()), size=400)] + 0.5 * rng.normal(size=(400, 20))
    assert memorisation(copied, rows[kept], rows[~kept], **sides).copied


def test_memorisation_insists_on_the_same_speakers(speech):
    rows, speakers, kept, _ = speech
    with pytest.raises(ValueError, match="whom training_speakers does not"):
        memorisation(
            rows[:50], rows[kept], rows[~kept], training_speakers=speakers[kept], withheld_speakers=speakers[~kept] + 6
        )
    with pytest.raises(ValueError, match="speakers of both sides"):
        memorisation(rows[:50], rows[kept], rows[~kept], training_speakers=speakers[kept])


def test_collapse_and_halved_variance_show(sets):
    real = sets[0]
    centre = np.tile(real.mean(0), (500, 1)) + 1e-6 * np.random.default_rng(0).normal(size=(500, 24))
    found = neighbourhood(real, centre)
    assert found.recall == 0.0
    half = neighbourhood(real, np.random.default_rng(1).normal(size=(700, 24)) * 0.5)
    assert half.density > 2 and half.recall < 0.05
