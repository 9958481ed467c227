import json

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForAudioClassification

from mise_hf.training import aligner as aligner_module
from mise_hf.training import classifier as classifier_module
from mise_hf.training import generator as generator_module
from mise_hf.training.arguments import (
    AlignerArguments,
    ClassifierArguments,
    GeneratorArguments,
    parse_arguments,
)
from mise_hf.training.rows import load_table, rows_in_aligned_space, rows_in_encoder_space

EXCLUDED = ["--exclude_speakers", "11", "13"]
SMALL = ["--steps", "6", "--batch_size", "32", "--save_every", "2", *EXCLUDED]


def test_the_generator_learns_the_toy_corpus(toy_table):
    rows = rows_in_encoder_space(toy_table, 1, 10)
    arguments = GeneratorArguments(steps=40, batch_size=32, hidden_size=32)
    generator = generator_module.train_generator(rows, arguments, label_names=toy_table.label_names)
    made = generator.generate(torch.arange(300) % 3, generator=torch.Generator().manual_seed(0)).features
    for label in range(3):
        real = rows.features[rows.labels == label]
        apart = (made[torch.arange(300) % 3 == label].mean(0) - real.mean(0)).norm()
        others = [(rows.features[rows.labels == other].mean(0) - real.mean(0)).norm() for other in {0, 1, 2} - {label}]
        assert apart < min(others)


@pytest.mark.parametrize("estimator", ["variational", "info_nce", "smile", "nwj"])
@pytest.mark.parametrize("reference", ["real", "synthetic"])
def test_every_regulariser_trains_with_text_and_pairs(toy_table, estimator, reference):
    rows = rows_in_encoder_space(toy_table, 1, 10, text=True)
    arguments = GeneratorArguments(
        steps=6,
        batch_size=32,
        hidden_size=16,
        text=True,
        paired=True,
        mi_estimator=estimator,
        mi_reference=reference,
        mi_weight=1.0,
    )
    seen: list[dict] = []
    generator = generator_module.train_generator(
        rows, arguments, label_names=toy_table.label_names, on_step=lambda step, metrics: seen.append(metrics)
    )
    assert all(np.isfinite(list(metrics.values())).all() for metrics in seen)
    out = generator.generate(["joy"], rows.text[:1], generator=torch.Generator().manual_seed(0))
    assert out.text_features.shape == (1, 4)


def test_weight_zero_is_the_label_only_gan(toy_table):
    """No information critic is trained, and none touches the generator."""
    rows = rows_in_encoder_space(toy_table, 1, 10)

    def train(**changes):
        arguments = GeneratorArguments(steps=5, batch_size=32, hidden_size=16, mi_weight=0.0, **changes)
        seen: list[dict] = []
        generator = generator_module.train_generator(
            rows, arguments, label_names=toy_table.label_names, on_step=lambda step, metrics: seen.append(metrics)
        )
        return generator.output.weight, seen

    first, seen = train(mi_estimator="variational")
    second, _ = train(mi_estimator="info_nce")
    assert torch.equal(first, second) and not any("mi_bound" in metrics for metrics in seen)


def test_the_same_seed_gives_the_same_weights(toy_table):
    rows = rows_in_encoder_space(toy_table, 1, 10)

    def weights(seed: int) -> torch.Tensor:
        arguments = GeneratorArguments(steps=4, batch_size=16, hidden_size=16, seed=seed)
        return generator_module.train_generator(rows, arguments, label_names=toy_table.label_names).output.weight

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


def test_the_aligner_separates_emotions_of_unseen_speakers(toy_table):
    train = toy_table.select(np.isin(toy_table.speakers, ["s0", "s1", "s2"]))
    test = toy_table.select(toy_table.speakers == "s3")
    made = aligner_module.train_aligner(
        train, AlignerArguments(steps=150, batch_size=32, projection_size=4, dropout=0.1, learning_rate=0.01)
    )
    with torch.no_grad():
        logits = made.embed(torch.from_numpy(test.audio_states)).audio_logits
    assert (logits.argmax(1).numpy() == test.labels).mean() > 0.7


def test_synthetic_rows_reach_the_head(toy_table):
    """A generator that only knows one class wrongly drags the head along: so the rows do arrive."""
    rows = rows_in_encoder_space(toy_table, 1, 10)
    generator = generator_module.make_generator(rows, GeneratorArguments(), label_names=toy_table.label_names)
    generator.start_from(rows.features, (rows.labels + 1) % 3)
    arguments = ClassifierArguments(steps=80, batch_size=64, ratio=0.9, hidden_size=16, dropout=0.0, learning_rate=0.01)
    names = toy_table.label_names
    misled = classifier_module.train_classifier(rows, arguments, label_names=names, generator=generator)
    plain = classifier_module.train_classifier(rows, arguments, label_names=names)
    with torch.no_grad():
        right = [(m(features=rows.features).logits.argmax(1) == rows.labels).float().mean() for m in (plain, misled)]
    assert right[0] > 0.85 and right[1] < 0.4


def test_audio_and_text_head_with_an_aligner(toy_table):
    made = aligner_module.train_aligner(toy_table, AlignerArguments(steps=5, batch_size=32, projection_size=4))
    rows = rows_in_aligned_space(toy_table, made, text=True)
    arguments = ClassifierArguments(steps=5, modality="audio+text", hidden_size=16)
    model = classifier_module.train_classifier(rows, arguments, label_names=toy_table.label_names, aligner=made)
    states = torch.from_numpy(toy_table.audio_states[:3])
    logits = model(audio_states=states, text_features=rows.text[:3]).logits
    assert torch.allclose(logits, model(features=rows.features[:3], text_features=rows.text[:3]).logits, atol=1e-5)


def test_the_three_trainings_as_commands(tmp_path):
    """aligner -> generator in its space -> head on both, each from the command's own entry point."""
    folders = {name: str(tmp_path / name) for name in ("aligner", "generator", "encoder_generator", "head")}
    aligner_module.main([*SMALL, "--output_dir", folders["aligner"]])
    generator_module.main(
        [*SMALL, "--output_dir", folders["generator"], "--aligner", folders["aligner"], "--text", "true"]
    )
    generator_module.main([*SMALL, "--output_dir", folders["encoder_generator"]])
    shared = ["--generator", folders["encoder_generator"], "--output_dir", folders["head"]]
    classifier_module.main([*SMALL, *shared])
    lines = [json.loads(line) for line in (tmp_path / "head" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(6))
    generator = AutoModel.from_pretrained(folders["encoder_generator"])
    assert generator.config.training_corpora[0]["utterances"] == 535 - 55 - 61
    assert "11" not in generator.config.training_corpora[0]["speakers"]
    assert AutoModel.from_pretrained(folders["generator"]).config.space == "aligned"
    assert AutoModelForAudioClassification.from_pretrained(folders["head"]).config.num_labels == 7
    assert any(tmp_path.glob("head/**/events.out.tfevents*"))


def test_a_run_is_not_overwritten_unless_asked(tmp_path):
    arguments = [*SMALL, "--output_dir", str(tmp_path / "run")]
    aligner_module.main(arguments)
    with pytest.raises(ValueError, match="already holds a run"):
        aligner_module.main(arguments)
    with pytest.raises(ValueError, match=r"learning_rate was 0.001, is 0.5"):
        aligner_module.main([*arguments, "--learning_rate", "0.5"])
    aligner_module.main([*arguments, "--learning_rate", "0.5", "--overwrite", "true"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="no run of ours"):
        aligner_module.main([*SMALL, "--output_dir", str(tmp_path / "mine"), "--overwrite", "true"])


def test_a_diverged_run_saves_nothing(tmp_path):
    with pytest.raises(ValueError, match="diverged at step"):
        generator_module.main([*SMALL, "--output_dir", str(tmp_path / "run"), "--learning_rate", "1e30"])
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_yaml_gives_the_defaults_and_flags_win(tmp_path):
    config = tmp_path / "generator.yaml"
    config.write_text("steps: 7\nmi_weight: 0.5\n")
    arguments = parse_arguments(GeneratorArguments, ["--config", str(config), "--steps", "9"])
    assert (arguments.steps, arguments.mi_weight) == (9, 0.5)
    for wrong in ("mi_reference: Real", "steps: 1.5", "steps: true", "resume: never", "- 1", "{"):
        config.write_text(wrong)
        with pytest.raises(ValueError, match=r"wanted|cannot be read"):
            parse_arguments(GeneratorArguments, ["--config", str(config)])
    config.write_text("stepz: 7\n")
    with pytest.raises(ValueError, match=r"stepz.*wanted some of"):
        parse_arguments(GeneratorArguments, ["--config", str(config)])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--steps", "0"], "steps is 0"),
        (["--mi_weight", "-1"], "mi_weight is -1"),
        (["--learning_rate", "0"], "learning_rate is 0"),
        (["--batch_size", "1"], "batch_size is 1"),
    ],
)
def test_bad_arguments_are_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        parse_arguments(GeneratorArguments, flags)


def test_bad_tables_are_refused(toy_table):
    with pytest.raises(ValueError, match=r"\['99'\]; wanted some of \['03'"):
        load_table("emodb", ["99"])
    with pytest.raises(ValueError, match="wanted at least 2"):
        load_table("emodb", ["03", "08", "09", "10", "11", "12", "13", "14", "15"])
    with pytest.raises(ValueError, match="have no training row"):
        rows = rows_in_encoder_space(toy_table.select(toy_table.labels != 0), 1, 6)
        generator_module.train_generator(rows, GeneratorArguments(steps=1), label_names=toy_table.label_names)


def test_an_aligner_that_heard_the_speakers_left_out_is_refused(tmp_path):
    """What was measured on these speakers would be measured on what the aligner knows by heart."""
    heard = ["--steps", "2", "--batch_size", "32", "--output_dir", str(tmp_path / "aligner"), "--features", "emodb"]
    aligner_module.main([*heard, "--exclude_speakers", "13"])
    with pytest.raises(ValueError, match=r"MiseAligner has heard the speakers 11 of emodb"):
        generator_module.main(
            ["--features", "emodb", "--aligner", str(tmp_path / "aligner"), "--output_dir", str(tmp_path / "g"), *SMALL]
        )
    assert not (tmp_path / "g").exists()
