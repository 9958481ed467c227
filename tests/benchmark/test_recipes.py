"""The augmentations beyond the plain controls: what they make, on clouds whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_corpus import make_table

from mise_hf.benchmark import recipes, tabular_gan
from mise_hf.benchmark.flow import fit_flow
from mise_hf.benchmark.place import Place, encoder_place
from mise_hf.benchmark.plain import TunedPlain, rows_in_identity_space
from mise_hf.benchmark.selection import most_telling
from mise_hf.benchmark.speaker_gaussian import two_level_gaussian
from mise_hf.benchmark.weighted import class_weights, fit_focal, focal_loss
from mise_hf.metrics.mise_quality.new_rows import pointwise_new_label_information


def place_of(features, labels, held=None, speakers=None):
    """A place whose rows are given as they are."""
    table = make_table(speakers=4, rows_each=len(labels) // 4)
    table = replace(table, labels=labels, speakers=table.speakers if speakers is None else speakers)
    held = features if held is None else held
    return Place(table, rows_in_identity_space(features, labels), held.astype("float32"), None, "none", 0, 3)


def test_the_two_level_gaussian_has_the_speakers_and_the_utterances_covariance():
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(200), 30)
    labels = np.tile(np.arange(3), 2000)
    shift = rng.normal(size=(200, 4)) * [3, 0, 0, 0]
    features = shift[speakers] + rng.normal(size=(6000, 4)) * [1, 2, 1, 1] + 10 * labels[:, None]
    made = two_level_gaussian(features, labels, speakers.astype(str), np.tile(np.arange(3), 3000), seed=0)
    for label in range(3):
        rows = made[label::3]
        assert np.allclose(rows.mean(0), 10 * label, atol=0.8)
        assert np.allclose(rows.var(0), [10, 4, 1, 1], rtol=0.25)
    # The shift is one of all emotions of a synthetic speaker, so rows of a speaker are not independent: a wanted list
    # of one speaker's length has one speaker's spread.
    few = two_level_gaussian(features, labels, speakers.astype(str), np.zeros(30, dtype=int), seed=1)
    assert few.var(0)[0] < 4
    assert two_level_gaussian(features, labels, speakers.astype(str), np.zeros(0, dtype=int), seed=1).shape == (0, 4)


def test_flow_matching_learns_two_means_and_a_correlation():
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    features = rng.normal(size=(600, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]]) + 4 * labels[:, None]
    draw = fit_flow(features, labels, 2, seed=0, steps=400)
    wanted = np.arange(2000) % 2
    made = draw(wanted, 0)
    assert np.array_equal(made, draw(wanted, 0)) and not np.array_equal(made, draw(wanted, 1))
    for label in (0, 1):
        assert np.allclose(made[wanted == label].mean(0), 4 * label, atol=0.4)
        assert 0.6 < np.corrcoef(made[wanted == label].T)[0, 1] < 0.95
        assert np.allclose(made[wanted == label].std(0), 1, atol=0.25)


def test_selected_rows_tell_more_of_their_emotion_than_those_drawn():
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 3
    place = place_of(rng.normal(size=(80, 4)) + 2 * np.eye(4)[labels], labels)

    def draw(wanted, seed):
        source = np.random.default_rng(seed)
        told = np.where(source.uniform(size=len(wanted)) < 0.5, wanted, source.integers(3, size=len(wanted)))
        return (source.normal(size=(len(wanted), 4)) + 2 * np.eye(4)[told]).astype("float32")

    wanted = np.arange(60) % 3
    kept = most_telling(place, draw)(wanted, 0)
    scores = [
        pointwise_new_label_information(labels, place.features, wanted, rows, groups=place.table.speakers)
        for rows in (kept, draw(wanted, 0))
    ]
    assert scores[0].min() > 0 and scores[1].min() < -0.5
    drawn = {row.tobytes() for row in draw(np.repeat(wanted, 4), 0)}
    assert all(row.tobytes() in drawn for row in kept)


def test_weights_help_a_rare_class():
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(400) % 20 == 0, 1, 0)
    labels[::100] = 2
    features = (rng.normal(size=(400, 4)) + 1.5 * np.eye(4)[labels]).astype("float32")
    truth = np.arange(300) % 3
    held = rng.normal(size=(300, 4)) + 1.5 * np.eye(4)[truth]
    place = place_of(features, labels, held)
    plain = TunedPlain((1,), [], place.rows)
    found = class_weights([place], truth, place, plain, {})
    assert found.choice["family"] == "lda" and np.mean(found.predictions == truth) > 0.6
    assert np.mean(fit_focal(place, 0, 1.0, seed=0)(place.held).argmax(1) == truth) > 0.5
    chosen = focal_loss([place], truth, place, seed=0)
    assert chosen.choice["inner_uar"] == pytest.approx(np.mean(chosen.predictions == truth))


@pytest.mark.parametrize("name", [recipes.MISE_ENCODER, recipes.SPEAKERS_ENCODER, recipes.FLOW, recipes.TWO_LEVEL])
def test_recipes_draw_rows_of_the_places_space_near_their_emotion(name):
    table = make_table(speakers=4)
    place = encoder_place(table, table, (1,), licence="none", seed=0, steps=20)
    wanted = np.arange(90) % 3
    draw = recipes.ENCODER[name](place)
    made = draw(wanted, 0)
    assert made.shape == (90, place.features.shape[1]) and np.array_equal(made, draw(wanted, 0))
    means = np.stack([place.features[table.labels == label].mean(0) for label in range(3)])
    for label in range(3):
        apart = np.linalg.norm(made[wanted == label].mean(0) - means, axis=1)
        assert apart.argmin() == label


def test_a_generator_is_trained_once_for_two_recipes():
    table = make_table(speakers=3)
    place = encoder_place(table, table, (1,), licence="none", seed=0, steps=1)
    recipes.ENCODER[recipes.MISE_ENCODER](place)
    trained = dict(place.trained)
    recipes.ENCODER[recipes.SELECTED_ENCODER](place)
    assert place.trained == trained


def test_ctgan_is_offered_where_it_is_installed():
    names = recipes.offered_for(make_table())
    assert (recipes.CTGAN in names) == tabular_gan.available() and recipes.WITHOUT_TEXT in names
    assert recipes.WITHOUT_TEXT not in recipes.offered_for(make_table(text=False))


def test_ctgan_makes_rows_of_the_wanted_emotions():
    pytest.importorskip("ctgan", reason="CTGAN is not installed (extra `ctgan`)")
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    with torch.random.fork_rng(devices=[]):
        draw = tabular_gan.fit_ctgan(rng.normal(size=(60, 3)) + 9 * labels[:, None], labels, seed=0, epochs=2)
        made = draw(np.array([0, 1, 1]), 0)
    assert made.shape == (3, 3) and np.isfinite(made).all()
