"""Accumulation, bfloat16, clipping, and what stops a training that has gone wrong."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from mise_hf.training.aligner import train_aligner
from mise_hf.training.arguments import AlignerArguments, ClassifierArguments, GeneratorArguments, parse_arguments
from mise_hf.training.classifier import train_classifier
from mise_hf.training.divergence import DivergedError
from mise_hf.training.generator import GeneratorTraining, make_generator, train_generator
from mise_hf.training.generator import main as generator_main
from mise_hf.training.probe import Probe
from mise_hf.training.rows import rows_in_encoder_space

SMALL = {"steps": 8, "batch_size": 32, "hidden_size": 16}


def curve(train, *args, **options) -> list[dict]:
    seen: list[dict] = []
    train(*args, on_step=lambda step, metrics: seen.append(metrics), **options)
    return seen


def test_accumulation_equals_the_large_batch_where_terms_decompose(toy_table):
    rows = rows_in_encoder_space(toy_table, 1, 10)
    names = toy_table.label_names
    for parts in (2, 8):
        for train, kind, table, options in (
            (train_generator, GeneratorArguments, rows, {"label_names": names}),
            (train_classifier, ClassifierArguments, rows, {"label_names": names}),
            (train_aligner, AlignerArguments, toy_table, {}),
        ):
            more = {"text": False} if kind is AlignerArguments else {}
            large = curve(train, table, kind(**SMALL, **more), **options)
            small = curve(train, table, kind(**SMALL, **more, micro_batches=parts), **options)
            for first, second in zip(large, small, strict=True):
                assert second == pytest.approx(first, abs=1e-4), kind


def test_contrastive_terms_do_not_decompose(toy_table):
    """Said in the help and the docstrings; here is the reason."""
    large = curve(train_aligner, toy_table, AlignerArguments(**SMALL))
    small = curve(train_aligner, toy_table, AlignerArguments(**SMALL, micro_batches=2))
    assert small[0]["emotion_loss"] == pytest.approx(large[0]["emotion_loss"], abs=1e-5)
    assert abs(small[0]["contrastive_loss"] - large[0]["contrastive_loss"]) > 0.1


@pytest.mark.parametrize("kind", [GeneratorArguments, ClassifierArguments, AlignerArguments])
def test_bf16_trains_near_float32_and_keeps_float32_weights(toy_table, kind):
    rows = rows_in_encoder_space(toy_table, 1, 10)
    train = {
        GeneratorArguments: lambda a, **o: train_generator(rows, a, label_names=toy_table.label_names, **o),
        ClassifierArguments: lambda a, **o: train_classifier(rows, a, label_names=toy_table.label_names, **o),
        AlignerArguments: lambda a, **o: train_aligner(toy_table, a, **o),
    }[kind]
    plain = curve(train, kind(**SMALL))
    half = curve(train, kind(**SMALL, mixed_precision="bf16"))
    assert half != plain
    for first, second in zip(plain, half, strict=True):
        assert second == pytest.approx(first, rel=0.1, abs=0.1)
    model = train(kind(**SMALL, mixed_precision="bf16"))
    assert {value.dtype for value in model.parameters()} == {torch.float32}


def test_launchers_precision_is_the_default(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert parse_arguments(GeneratorArguments, []).mixed_precision == "bf16"
    assert parse_arguments(GeneratorArguments, ["--mixed_precision", "no"]).mixed_precision == "no"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(ValueError, match="mixed_precision is 'fp16'; wanted one of no, bf16"):
        parse_arguments(GeneratorArguments, [])


def test_clipping_bounds_the_gradient_of_every_step(toy_table):
    rows = rows_in_encoder_space(toy_table, 1, 10)

    def norms(bound: float) -> list[float]:
        arguments = GeneratorArguments(**SMALL, max_grad_norm=bound)
        generator = make_generator(rows, arguments, label_names=toy_table.label_names)
        training = GeneratorTraining(generator, rows, arguments, Accelerator(cpu=True))
        training.step(0)
        return [
            float(torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm())
            for parameters in training.parameters.values()
        ]

    free, clipped = norms(0.0), norms(0.01)
    assert min(free) > 0.02 and max(clipped) <= 0.0101


def test_a_step_beyond_all_bounds_stops_and_names_the_last_good_checkpoint(tmp_path, monkeypatch):
    run = tmp_path / "run"
    argv = ["--steps", "9", "--batch_size", "32", "--save_every", "2", "--output_dir", str(run)]
    real = GeneratorTraining.step

    def step(self, number):
        metrics = real(self, number)
        if number == 5:
            # The loss of this step is still fine: the update has spoilt the weights.
            self.generator.output.weight.data[0, 0] = torch.nan
        return metrics

    monkeypatch.setattr(GeneratorTraining, "step", step)
    with pytest.raises(DivergedError, match=r"step 5: NaN or infinity in the weights generator\.output.*step-00000004"):
        generator_main(argv)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-00000002", "step-00000004"]
    assert not (run / "model.safetensors").exists()


def test_a_collapsed_generator_is_found_and_named(tmp_path, monkeypatch):
    real = GeneratorTraining.step

    def step(self, number):
        metrics = real(self, number)
        if number == 16:
            self.generator.noise_factor.weight.data.zero_()
        return metrics

    monkeypatch.setattr(GeneratorTraining, "step", step)
    argv = ["--steps", "60", "--batch_size", "32", "--save_every", "15", "--learning_rate", "1e-9"]
    with pytest.raises(DivergedError, match=r"step 24: the generator has collapsed.*step-00000015"):
        generator_main([*argv, "--output_dir", str(tmp_path / "run")])
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000015"]


def test_the_probe_tells_collapse_saturation_and_health_apart():
    rng = torch.Generator().manual_seed(0)
    rows, labels = torch.randn(300, 8, generator=rng), torch.arange(300) % 3
    probe = Probe(rows, labels, 8, torch.device("cpu"))

    def undecided(rows, labels):
        return torch.zeros(len(rows))

    def decided(rows, labels):
        return torch.full((len(rows),), 20.0 if torch.equal(rows, probe.rows) else -20.0)

    def noise(noise, labels):
        return noise

    assert probe.cause(noise, undecided) is None
    assert "collapsed" in probe.cause(lambda noise, labels: labels[:, None].float().expand(-1, 8), undecided)
    assert "saturated" in probe.cause(noise, decided)
    assert np.isclose(probe.real_variance, 1, atol=0.2)
