"""A generator of one corpus, adapted to a few rows of another that lies elsewhere and scatters otherwise."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from mise_hf import SyntheticFeatures
from mise_hf.benchmark.sharing import start_shared
from mise_hf.features import FeatureTable, load_embedded
from mise_hf.features.provenance import merged_corpora, training_corpora
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.pretrained import load_generator
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.generator import make_generator
from mise_hf.training.rows import rows_in_encoder_space
from mise_hf.transfer import adapt, checkpoint, fit_transfer, prior_of
from mise_hf.transfer.adaptation import Prior, Settings, log_posterior, posterior_of
from mise_hf.transfer.own import remade
from mise_hf.transfer.unlabelled import Unlabelled, posterior_with_unlabelled

NAMES = ("anger", "fear", "joy")
PRINT = {"audio_encoder": {"id": "toy", "weights_sha256": "0"}, "pooling": "mean+std", "sampling_rate": 16000}


def corpus(name: str, names=NAMES, speakers=6, each=30, seed=0, shift=0.0, noise=1.0) -> FeatureTable:
    """Emotions at fixed places of a 12-dimensional space, in whichever order the corpus names them."""
    rng = np.random.default_rng(seed)
    places = {"anger": 0, "fear": 1, "joy": 2, "boredom": 3}
    labels = np.tile(np.arange(len(names)), speakers * each // len(names))
    speaker = np.repeat(np.arange(speakers), each)[: len(labels)]
    states = noise * rng.normal(size=(len(labels), 12))
    for label, emotion in enumerate(names):
        states[labels == label, places[emotion]] += 3
    states[:, 5] += speaker
    return FeatureTable(
        audio_states=((1 + shift) * states[:, None] + shift).astype("float32"),
        text_states=None,
        labels=labels.astype(np.int64),
        label_names=tuple(names),
        speakers=np.array([f"{name}-{i}" for i in speaker]),
        ids=np.array([f"{name}-{i}" for i in range(len(labels))]),
        texts=np.full(len(labels), ""),
        sessions=np.full(len(labels), ""),
        corpus=name,
        audio_layers=(3,),
        fingerprint={**PRINT, "audio_layers": [3]},
    )


@pytest.fixture(scope="module")
def source() -> MiseGenerator:
    table = corpus("source", speakers=10, each=60)
    arguments = GeneratorArguments(feature_size=12, speaker_noise_size=4, hidden_size=8)
    rows = rows_in_encoder_space(table, [3], 12)
    generator = make_generator(
        rows, arguments, label_names=NAMES, fingerprint=table.fingerprint, corpora=training_corpora(table, "cc0-1.0")
    )
    return generator.start_from(rows.features, rows.labels, rows.speakers).eval()


def like_shared(size: int):
    """Rows -> the Gaussian that a generator of them starts from."""
    arguments = GeneratorArguments(layers=[3], feature_size=size, speaker_noise_size=4)
    return lambda part: start_shared(part, arguments, licence="cc0-1.0")


def few_and_many(names=NAMES):
    few = corpus("target", names=names, speakers=4, each=6, seed=1, shift=2.0, noise=1.6)
    return few, corpus("target", names=names, speakers=8, each=60, seed=2, shift=2.0, noise=1.6)


def accuracy(table, log_probabilities):
    return (log_probabilities.argmax(1) == table.labels).mean()


def test_a_few_rows_and_a_generator_beat_the_few_rows_alone(source):
    few, many = few_and_many()
    transfer = fit_transfer(source, few, seed=0)
    alone = np.stack([few.layer(3)[few.labels == label].mean(0) for label in range(3)])
    nearest = -((many.layer(3)[:, None] - alone) ** 2).sum(2)
    assert accuracy(many, transfer.log_posterior(many, (3,))) > accuracy(many, nearest) + 0.03


def test_the_adapted_checkpoint_makes_what_the_posterior_says(source, tmp_path):
    few, _ = few_and_many(("joy", "anger", "boredom"))
    transfer = fit_transfer(source, few, seed=0)
    adapt(source, transfer).save_pretrained(tmp_path)
    adapted = MiseGenerator.from_pretrained(tmp_path)
    asked = ["boredom"] * 20000
    made = adapted.generate(asked, generator=torch.Generator().manual_seed(0)).features.double().numpy()
    assert np.allclose(made.mean(0), transfer.posterior.means[2], atol=0.1)
    scale = np.trace(transfer.posterior.covariance) / 12
    assert np.allclose(np.cov(made.T), transfer.posterior.covariance, atol=0.1 * scale)
    heard = {corpus["name"]: corpus["speakers"] for corpus in adapted.config.training_corpora}
    assert set(heard) == {"source", "target"} and "target-0" in heard["target"]


def test_an_emotion_of_the_target_alone_keeps_its_own_mean(source):
    few, many = few_and_many(("anger", "boredom", "joy"))
    transfer = fit_transfer(source, few, seed=0)
    space = transfer.space
    own = space.project(torch.from_numpy(few.layer(3)[few.labels == 1])).double().numpy().mean(0)
    assert np.allclose(transfer.posterior.means[1], own, atol=1e-4)
    assert accuracy(many, transfer.log_posterior(many, (3,))) > 0.7


def test_names_may_be_mapped(source):
    few, many = few_and_many()
    renamed = [replace(table, label_names=("rage", "fright", "glee")) for table in (few, many)]
    with pytest.raises(ValueError, match="wanted one in common"):
        fit_transfer(source, renamed[0], seed=0)
    names = dict(zip(NAMES, renamed[0].label_names, strict=True))
    mapped = fit_transfer(source, renamed[0], label_map=names, seed=0).log_posterior(many, (3,))
    assert np.array_equal(mapped, fit_transfer(source, few, seed=0).log_posterior(many, (3,)))
    with pytest.raises(ValueError, match="label_map has"):
        prior_of(source, {"rage": "anger"}, seed=0)


def test_more_trust_moves_the_means_towards_the_prior():
    rng = np.random.default_rng(0)
    prior = Prior(("a", "b"), np.array([[4.0, 0], [0, 4.0]]), np.eye(2), np.eye(2))
    labels = np.arange(12) % 2
    rows = rng.normal(size=(12, 2)) + np.array([[3.0, 1], [1, 3]])[labels]
    near, far = (
        np.abs(posterior_of(prior, rows, labels, ("a", "b"), Settings(trust, 0.3, 0.3)).means - prior.means).sum()
        for trust in (100.0, 0.01)
    )
    assert near < 0.3 * far
    own = np.stack([rows[labels == label].mean(0) for label in range(2)])
    loose = posterior_of(prior, rows, labels, ("a", "b"), Settings(1e-6, 0.0, 0.0))
    assert np.allclose(loose.means, own, atol=1e-3)
    assert np.allclose(loose.covariance, np.cov((rows - own[labels]).T, ddof=0, bias=True), atol=1e-3)


def test_log_posterior_is_that_of_the_gaussians():
    rng = np.random.default_rng(0)
    prior = Prior(("a", "b"), rng.normal(size=(2, 3)), np.eye(3), np.eye(3))
    labels, rows = np.arange(20) % 2, rng.normal(size=(20, 3))
    posterior = posterior_of(prior, rows, labels, ("a", "b"), Settings(1.0, 0.3, 0.3))
    densities = torch.stack(
        [
            torch.distributions.MultivariateNormal(
                torch.from_numpy(mean), torch.from_numpy(posterior.covariance)
            ).log_prob(torch.from_numpy(rows))
            for mean in posterior.means
        ],
        dim=1,
    )
    assert np.allclose(log_posterior(posterior, rows), densities.log_softmax(1).numpy())


def test_another_encoder_or_an_aligned_space_is_refused(source):
    few, _ = few_and_many()
    other = {**few.fingerprint, "audio_encoder": {"id": "other", "weights_sha256": "1"}}
    with pytest.raises(ValueError, match="features made in two ways"):
        fit_transfer(source, replace(few, fingerprint=other), seed=0)


def test_one_line_adapts_and_augments(source, tmp_path):
    few, _ = few_and_many(("joy", "anger", "boredom"))
    source.save_pretrained(tmp_path)
    augment = SyntheticFeatures.from_pretrained(tmp_path, target=few, ratio=2, mode="append", seed=0)
    rows = augment.dataset(few)
    out = rows.map(augment, batched=True, remove_columns=rows.column_names)
    assert len(out) == 3 * len(few) and set(out["label"]) == {"joy", "anger", "boredom"}
    made = np.array(out["features"])[np.array(out["is_synthetic"])]
    real = np.array(rows["features"])
    assert np.allclose(made.std(0).mean(), real.std(0).mean(), rtol=0.3)


def test_the_packages_own_generator_serves_another_corpus(tmp_path):
    generator = load_generator()
    table = load_embedded("emodb")
    assert [corpus["name"] for corpus in generator.config.training_corpora] == ["emodb"]
    # Another corpus of the same encoder: here fewer emotions, other means and scales of the same recordings.
    other = replace(table, audio_states=3 * table.audio_states.astype("float32") + 1, corpus="other")
    few = other.select(np.random.default_rng(0).permutation(len(other))[:80])
    transfer = fit_transfer(generator, few, seed=0)
    found = transfer.log_posterior(other, tuple(generator.config.state_layers))
    assert accuracy(other, found) > 0.85
    with pytest.raises(ValueError, match="no generator that loads"):
        load_generator(tmp_path)


def clouds(rows, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    return rng.normal(size=(rows, 4)) + 3.0 * np.eye(4)[labels], labels


def test_rows_without_a_label_bring_the_means_home():
    truth = 3.0 * np.eye(4)[:2]
    prior = Prior(("a", "b"), truth + 1.5, np.eye(4), np.eye(4))
    few, labels = clouds(4, seed=1)
    many, _ = clouds(600, seed=2)
    settings = Settings(1.0, 0.3, 0.1)
    off = [
        np.abs(
            posterior_with_unlabelled(prior, few, labels, ("a", "b"), settings, many, Unlabelled(weight, 1.0)).means
            - truth
        ).max()
        for weight in (0.0, 0.3, 1.0)
    ]
    assert off[2] < 0.25 and off[1] < 0.5 * off[0] and off[0] > 0.5


def test_without_weight_or_rows_the_posterior_is_that_of_the_labels():
    prior = Prior(("a", "b"), np.zeros((2, 4)), np.eye(4), np.eye(4))
    few, labels = clouds(10, seed=1)
    settings = Settings(1.0, 0.3, 0.1)
    plain = posterior_of(prior, few, labels, ("a", "b"), settings)
    for rows, weight in ((clouds(50, seed=2)[0], 0.0), (np.zeros((0, 4)), 1.0)):
        same = posterior_with_unlabelled(prior, few, labels, ("a", "b"), settings, rows, Unlabelled(weight, 1.0))
        assert np.array_equal(same.means, plain.means) and np.array_equal(same.covariance, plain.covariance)


def test_sure_rows_without_a_label_count_as_labelled_ones_of_their_weight():
    """Where the emotions lie far apart, a weight of one is what the labels would have said."""
    few, labels = clouds(8, seed=1)
    more, truth = clouds(40, seed=2)
    few, more = few + 40.0 * np.eye(4)[labels], more + 40.0 * np.eye(4)[truth]
    # A prior that does not pull: whatever it says, the rows decide.
    prior, settings = Prior(("a", "b"), np.zeros((2, 4)), np.eye(4), np.eye(4)), Settings(1e-9, 0.0, 0.05)
    found = posterior_with_unlabelled(prior, few, labels, ("a", "b"), settings, more, Unlabelled(1.0, 1.0))
    told = posterior_of(prior, np.concatenate([few, more]), np.concatenate([labels, truth]), ("a", "b"), settings)
    assert np.allclose(found.means, told.means, atol=1e-4)
    assert np.allclose(found.covariance, told.covariance, atol=1e-3)


def test_unlabelled_clips_are_chosen_or_left_by_held_out_speakers(source):
    few, _ = few_and_many()
    more = corpus("target", speakers=8, each=60, seed=5, shift=2.0, noise=1.6)
    test = corpus("others", speakers=8, each=60, seed=6, shift=2.0, noise=1.6)
    alone, helped = (fit_transfer(source, few, unlabelled=rows, seed=0) for rows in (None, more))
    assert alone.unlabelled.weight == 0
    assert accuracy(test, helped.log_posterior(test, (3,))) >= accuracy(test, alone.log_posterior(test, (3,))) - 0.01
    told = replace(more, labels=np.zeros_like(more.labels))
    blind = fit_transfer(source, few, unlabelled=told, seed=0)
    assert np.array_equal(blind.posterior.means, helped.posterior.means)
    noise = np.random.default_rng(0).normal(size=more.audio_states.shape).astype("float32") * 30
    assert fit_transfer(source, few, unlabelled=replace(more, audio_states=noise), seed=0).unlabelled.weight == 0
    heard = {entry["name"]: entry for entry in adapt(source, helped).config.training_corpora}
    assert heard["target"]["utterances"] == len(few) + len(more)


def test_a_generators_own_rows_are_no_prior_for_themselves(source):
    table = corpus("source", speakers=10, each=60)
    own = fit_transfer(source, table, seed=0)
    assert np.abs(own.posterior.means).max() > 0.1 and np.ptp(own.prior.means, axis=0).max() > 0.1
    heard = adapt(source, own).config.training_corpora
    assert [(entry["name"], entry["utterances"]) for entry in heard] == [("source", len(table))]


def test_a_generator_that_does_not_help_is_warned_of(source, tmp_path):
    source.save_pretrained(tmp_path / "generator")
    few, _ = few_and_many()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SyntheticFeatures.from_pretrained(tmp_path / "generator", target=few, seed=0)
    # Enough rows of its own, whose emotions lie in directions that the generator's space does not have.
    table = corpus("source", speakers=10, each=60)
    blind = like_shared(2)(replace(table, audio_states=table.audio_states * np.eye(12, dtype="float32")[5]))
    blind.save_pretrained(tmp_path / "blind")
    with pytest.warns(UserWarning, match="may not help: on left-out speakers, LDA on the target's 480 rows alone"):
        SyntheticFeatures.from_pretrained(tmp_path / "blind", target=corpus("target", speakers=8, each=60), seed=0)


def test_what_an_adapted_start_makes_has_the_posteriors_covariance(source):
    few, _ = few_and_many()
    transfer = fit_transfer(source, few, seed=0)
    factor = adapt(source, transfer).noise_factor.weight.detach().double().numpy()
    assert np.allclose(factor @ factor.T, transfer.posterior.covariance, rtol=1e-3, atol=1e-4)


def test_two_speakers_with_a_clip_of_each_emotion_are_enough(source, tmp_path):
    source.save_pretrained(tmp_path / "generator")
    few = corpus("target", speakers=2, each=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = SyntheticFeatures.from_pretrained(tmp_path / "generator", target=few, seed=0)
    assert len(made.dataset(few)) == 6


def test_speakers_that_only_the_target_has_are_recorded_beside_those_heard():
    table = corpus("source", speakers=8, each=30)
    some = like_shared(12)(table.select(np.isin(table.speakers, ["source-0", "source-1"])))
    transfer = fit_transfer(some, table, seed=0)
    assert transfer.own
    [entry] = adapt(some, transfer).config.training_corpora
    assert entry["speakers"] == sorted(set(table.speakers)) and entry["utterances"] == len(table)


def test_settings_for_ones_own_rows_are_chosen_without_the_left_out_speakers(monkeypatch):
    table = corpus("source", speakers=8, each=6)
    # More dimensions than rows: a generator that has heard a left-out speaker knows his rows by heart.
    noise = np.random.default_rng(0).normal(size=(len(table), 1, 200)).astype("float32")
    table = replace(table, audio_states=noise)
    generator = like_shared(200)(table)
    inside = fit_transfer(generator, table, seed=0).inside
    monkeypatch.setattr(checkpoint, "remade", lambda generator, part: generator)
    leaky = fit_transfer(generator, table, seed=0).inside
    foretold, remembered = ((one.log_posterior.argmax(1) == table.labels[one.held]).mean() for one in (inside, leaky))
    assert sorted(inside.held) == list(range(len(table)))
    assert foretold < 0.55 < remembered


def test_a_generator_is_made_again_of_other_rows():
    table = corpus("source", speakers=8, each=30)
    part = table.select(np.isin(table.speakers, ["source-0", "source-1", "source-2"]))
    again, like = remade(like_shared(12)(table), part), like_shared(12)(part)
    wanted = torch.arange(30) % 3
    made, expected = (
        one.generate(wanted, generator=torch.Generator().manual_seed(0)).features for one in (again, like)
    )
    assert torch.allclose(made, expected, atol=1e-5)


def test_one_entry_a_corpus_and_licence():
    entry = {"name": "x", "licence": "cc0-1.0", "speakers": ["b"], "utterances": 2}
    other = {"name": "x", "licence": "unstated", "speakers": ["a", "b"], "utterances": 3}
    merged = merged_corpora([other, entry, {**entry, "licence": "mit"}, {**entry, "name": "y"}])
    assert [(one["name"], one["licence"], one["utterances"]) for one in merged] == [
        ("x", "cc0-1.0", 5),
        ("x", "mit", 2),
        ("y", "cc0-1.0", 2),
    ]
    assert merged[0]["speakers"] == ["a", "b"] and entry["utterances"] == 2
