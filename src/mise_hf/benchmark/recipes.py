"""The augmentations of a study, each a recipe: training rows in a space -> a function that draws synthetic rows."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from mise_hf.benchmark import tabular_gan
from mise_hf.benchmark.controls import CONTROLS
from mise_hf.benchmark.flow import fit_flow
from mise_hf.benchmark.place import Draw, Place, Recipe
from mise_hf.benchmark.selection import most_telling
from mise_hf.benchmark.speaker_gaussian import two_level_gaussian
from mise_hf.features import FeatureTable
from mise_hf.features.provenance import training_corpora
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.generator import train_generator
from mise_hf.training.rows import TrainingRows, aligned_fingerprint, rows_in_encoder_space

LABEL_ONLY, MISE, MISE_ENCODER = "label-only GAN", "MISE", "MISE in the encoder space"
WITHOUT_TEXT, SPEAKERS, SELECTED = "MISE without text", "MISE, speaker noise", "MISE, MI-selected rows"
SPEAKERS_ENCODER, SELECTED_ENCODER = f"{MISE_ENCODER}, speaker noise", f"{MISE_ENCODER}, MI-selected rows"
TWO_LEVEL, FLOW, CTGAN = "two-level Gaussian", "flow matching", "CTGAN"
# Of the noise that the rows of one synthetic speaker and emotion share: a quarter, as in a generator to be shared.
SPEAKER_NOISE = 16
# Flow matching takes a fifth of the time of a GAN's step.
FLOW_STEPS = 4


def closed(control: Callable[..., np.ndarray]) -> Recipe:
    """An augmentation that needs no training."""

    def recipe(place: Place) -> Draw:
        return lambda wanted, seed: control(place.features, place.table.labels, wanted, seed)

    return recipe


def by_speaker(place: Place) -> Draw:
    """The two-level Gaussian."""
    return lambda wanted, seed: two_level_gaussian(
        place.features, place.table.labels, place.table.speakers, wanted, seed
    )


def gan(place: Place, *, mi_weight: float | None = None, speakers: int = 0, text: bool = False) -> Draw:
    """A trained `MiseGenerator`: of the aligned rows, or of 64 components of the states, lifted to the place's own."""
    rows = generator_rows(place)
    text = text and rows.text is not None
    generator = place.once(
        f"generator mi {mi_weight} speakers {speakers} text {text}",
        lambda: _train(place, rows, mi_weight, speakers, text),
    )
    return lambda wanted, seed: to_place(place, draw_features(place, generator, wanted, seed)).numpy()


def selected(base: Recipe) -> Recipe:
    """Another recipe's rows, chosen by what they tell of their emotion."""
    return lambda place: most_telling(place, base(place))


def flow(place: Place) -> Draw:
    """Conditional flow matching on the rows that a GAN is trained on."""
    rows = generator_rows(place)
    made = fit_flow(
        rows.features.numpy(),
        place.table.labels,
        len(place.table.label_names),
        seed=place.seed,
        steps=FLOW_STEPS * place.steps,
    )
    return lambda wanted, seed: to_place(place, torch.from_numpy(made(wanted, seed))).numpy()


def ctgan(place: Place) -> Draw:
    """CTGAN on the rows that a GAN is trained on."""
    rows = generator_rows(place)
    made = tabular_gan.fit_ctgan(rows.features.numpy(), place.table.labels, seed=place.seed, epochs=place.steps)
    return lambda wanted, seed: to_place(place, torch.from_numpy(made(wanted, seed))).numpy()


def generator_rows(place: Place) -> TrainingRows:
    """What a generator learns from: the aligned rows, or the leading components of the states."""
    if place.aligner is not None:
        return place.rows
    size = GeneratorArguments().feature_size
    return place.once("rows", lambda: rows_in_encoder_space(place.table, place.rows.layers, size))


def to_place(place: Place, made: torch.Tensor) -> torch.Tensor:
    """Synthetic rows of `generator_rows` in the place's space: float32 (rows, dim)."""
    if place.aligner is not None:
        return made
    # Both spaces standardise by the same rows, so a row passes over through the standardised states.
    return generator_rows(place).space.lift(made) @ place.rows.space.components.t()


def draw_features(place: Place, generator: MiseGenerator, wanted: np.ndarray, seed: int) -> torch.Tensor:
    """Rows of a generator in its own space; texts are drawn from the training rows'."""
    source, text, voices = torch.Generator().manual_seed(seed), None, None
    if generator.config.text_size:
        texts = place.rows.text
        text = texts[torch.randint(len(texts), (len(wanted),), generator=source)]
    if generator.config.speaker_noise_size:
        people = len(set(place.table.speakers))
        # As many rows of a synthetic speaker as of a training speaker.
        voices = torch.arange(len(wanted)) // max(1, len(place.table) // people)
    return generator.generate(torch.from_numpy(wanted), text, speakers=voices, generator=source).features


def _train(place: Place, rows: TrainingRows, mi_weight: float | None, speakers: int, text: bool) -> MiseGenerator:
    arguments = GeneratorArguments(
        steps=place.steps,
        seed=place.seed,
        layers=list(place.rows.layers or (0,)),
        text=text,
        speaker_noise_size=speakers,
    )
    if mi_weight is not None:
        arguments.mi_weight = mi_weight
    return train_generator(
        rows,
        arguments,
        label_names=place.table.label_names,
        fingerprint=aligned_fingerprint(place.table.fingerprint, place.aligner),
        corpora=training_corpora(place.table, place.licence),
    )


ENCODER: dict[str, Recipe] = {
    **{name: closed(control) for name, control in CONTROLS.items()},
    TWO_LEVEL: by_speaker,
    FLOW: flow,
    CTGAN: ctgan,
    LABEL_ONLY: partial(gan, mi_weight=0.0),
    MISE_ENCODER: gan,
    SPEAKERS_ENCODER: partial(gan, speakers=SPEAKER_NOISE),
    SELECTED_ENCODER: selected(gan),
}
# Of the aligned space, the paper's; each with text where the corpus has any, but for one.
ALIGNED: dict[str, Recipe] = {
    MISE: partial(gan, text=True),
    WITHOUT_TEXT: gan,
    SPEAKERS: partial(gan, text=True, speakers=SPEAKER_NOISE),
    SELECTED: selected(partial(gan, text=True)),
}
# Whose rows' information is measured.
MEASURED = (LABEL_ONLY, MISE_ENCODER, SPEAKERS_ENCODER, FLOW, TWO_LEVEL, "class Gaussian", *ALIGNED)


def offered_for(table: FeatureTable) -> list[str]:
    """The augmentations that can be made of these features, here."""
    names = [*ENCODER, *ALIGNED]
    if not tabular_gan.available():
        names.remove(CTGAN)
    if table.text_states is None:
        names.remove(WITHOUT_TEXT)
    return names
