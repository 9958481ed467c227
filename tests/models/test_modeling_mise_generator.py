import subprocess
import sys

import pytest
import torch
from transformers import AutoModel

from mise_hf import MiseGenerator, MiseGeneratorConfig


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_save_and_load_give_the_same_numbers_in_a_new_process(tiny_generator, tmp_path):
    tiny_generator.save_pretrained(tmp_path)
    code = (
        "import sys, torch, mise_hf; from transformers import AutoModel; m = AutoModel.from_pretrained(sys.argv[1]); "
        "out = m.generate(['joy'] * 3, generator=torch.Generator().manual_seed(5)); print(out.features.tolist())"
    )
    printed = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True).stdout
    here = tiny_generator.generate(["joy"] * 3, generator=seeded(5)).features
    assert torch.equal(torch.tensor(eval(printed)), here)


def test_the_space_goes_along(tiny_generator, tmp_path):
    tiny_generator.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    states = torch.randn(4, 10)
    assert torch.allclose(loaded.space.project(states), tiny_generator.space.project(states))
    features = tiny_generator.space.project(states)
    assert torch.allclose(
        loaded.space.project(loaded.space.lift(features) * loaded.space.scale + loaded.space.mean), features, atol=1e-5
    )


def test_it_starts_at_the_class_conditional_gaussian():
    torch.manual_seed(0)
    generator = MiseGenerator(MiseGeneratorConfig(feature_size=5, noise_size=5, num_labels=2))
    labels = torch.arange(4000) % 2
    mixing = torch.randn(5, 5)
    rows = torch.randn(4000, 5) @ mixing + 3 * labels[:, None]
    generator.start_from(rows, labels, shrinkage=0.0)
    made = generator.generate(labels, generator=seeded()).features
    for label in (0, 1):
        assert torch.allclose(made[labels == label].mean(0), rows[labels == label].mean(0), atol=0.25)
        assert torch.allclose(made[labels == label].T.cov(), rows[labels == label].T.cov(), rtol=0.2, atol=0.5)


def test_a_missing_transcript_is_the_null_text(tiny_generator):
    torch.nn.init.normal_(tiny_generator.output.weight)
    torch.nn.init.normal_(tiny_generator.null_text)
    noise, labels = torch.randn(2, 10, generator=seeded()), torch.tensor([0, 1])
    text = torch.stack([torch.full((4,), torch.nan), torch.ones(4)])
    mixed = tiny_generator(noise, labels, text).features
    without = tiny_generator(noise, labels).features
    assert torch.allclose(mixed[0], without[0]) and not torch.allclose(mixed[1], without[1])


@pytest.mark.parametrize(
    ("labels", "message"), [(["rage"], "rage.*wanted some of.*anger"), ([3], "3"), (torch.tensor([-1]), "-1")]
)
def test_unknown_labels_are_refused(tiny_generator, labels, message):
    with pytest.raises(ValueError, match=message):
        tiny_generator.generate(labels, generator=seeded())


def test_text_for_a_generator_without_text_is_refused():
    generator = MiseGenerator(MiseGeneratorConfig(feature_size=5, noise_size=5, num_labels=2))
    with pytest.raises(ValueError, match="text_size is 0"):
        generator.generate([0], torch.zeros(1, 4), generator=seeded())


def test_no_rows_give_no_rows(tiny_generator):
    assert tiny_generator.generate([], generator=seeded()).features.shape == (0, 6)


def test_a_class_without_rows_is_refused(tiny_generator):
    with pytest.raises(ValueError, match="no training row for"):
        tiny_generator.start_from(torch.randn(10, 10), torch.zeros(10, dtype=torch.int64))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"feature_size": 0}, "feature_size is 0; wanted an integer from 1"),
        ({"feature_size": 10**9}, "feature_size is 1000000000"),
        ({"space": "latent"}, "wanted one of encoder, aligned"),
        ({"noise_sise": 3}, "unknown keys noise_sise"),
        ({"num_hidden_layers": 2.5}, "num_hidden_layers is 2.5"),
    ],
)
def test_bad_configurations_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        MiseGeneratorConfig(**values)


def test_rows_of_one_speaker_are_alike_as_the_training_speakers_were():
    draw = torch.Generator().manual_seed(0)
    labels, speakers = torch.arange(4000) % 2, torch.arange(4000) // 2 % 40
    between = torch.randn(40, 2, 5, generator=draw) * torch.tensor([3.0, 1, 0.1, 0.1, 0.1])
    rows = between[speakers, labels] + torch.randn(4000, 5, generator=draw)
    names = {0: "anger", 1: "fear"}
    config = MiseGeneratorConfig(feature_size=5, noise_size=8, speaker_noise_size=3, id2label=names)
    generator = MiseGenerator(config).start_from(rows, labels, speakers, shrinkage=0.0)
    asked = torch.arange(2).repeat_interleave(300 * 50)
    voices = torch.arange(300).repeat_interleave(50).repeat(2)
    made = generator.generate(asked, speakers=voices, generator=torch.Generator().manual_seed(1)).features
    made = made.reshape(2, 300, 50, 5)
    apart = made.mean(2).var(1).mean(0)
    real = (rows.reshape(50, 40, 2, 5).mean(0)).var(0).mean(0)
    assert torch.allclose(apart[:2], real[:2], rtol=0.25)
    assert torch.allclose(made.var(2).mean((0, 1)), torch.ones(5), rtol=0.15)
    with pytest.raises(ValueError, match="wanted one a row"):
        generator.start_from(rows, labels)


def test_speakers_are_refused_by_a_generator_without_their_noise(tiny_generator):
    with pytest.raises(ValueError, match="speaker_noise_size is 0"):
        tiny_generator.generate([0, 1], speakers=[0, 1], generator=torch.Generator().manual_seed(0))


def test_given_noise_is_what_a_generator_would_draw(tiny_generator):
    labels = torch.arange(5) % tiny_generator.config.num_labels
    drawn = torch.randn(5, tiny_generator.config.noise_size, generator=seeded(3))
    by_noise = tiny_generator.generate(labels, noise=drawn).features
    assert torch.equal(by_noise, tiny_generator.generate(labels, generator=seeded(3)).features)
    torch.testing.assert_close(by_noise, tiny_generator(drawn, labels).features)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "or neither"),
        ({"noise": torch.zeros(2, 3), "generator": torch.Generator()}, "both a generator and noise"),
        ({"noise": torch.zeros(2, 3)}, r"shape \(2, 3\); wanted \(2, "),
        ({"noise": torch.zeros(2, 3), "num_samples": 2}, "num_samples or speakers"),
    ],
)
def test_noise_that_does_not_fit_is_refused(tiny_generator, given, message):
    with pytest.raises(ValueError, match=message):
        tiny_generator.generate([0, 1], **given)
