"""Paired rows (h_hat, t): lines of a text corpus, and beside each a sound made for its emotion and its words.

For heads that hear and read. A generator of the audio states learns from the training pairs, conditioned on text; then
it is asked for the sound of lines that nobody spoke. The pair is a row of both states side by side.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from mise_hf.benchmark.place import Draw, Place
from mise_hf.features import FeatureTable
from mise_hf.features.fingerprint import TEXT_PARTS, require_same
from mise_hf.features.provenance import training_corpora
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.models.space_mise import MiseFeatureSpace
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.generator import train_generator
from mise_hf.training.rows import TrainingRows, rows_in_encoder_space

PAIRED = "MISE, paired with lines of a text corpus"
# Principal components of the text states that a generator is conditioned on.
TEXT_SIZE = 32


@dataclass(frozen=True)
class PairedLines:
    """A recipe of a study with modality "both".

    Attributes:
        states: text states float32 (lines, text state size), of the encoder that read the corpus.
        emotions: str (lines,), as the target names them; others are not used.
        audio_size: of the target's audio states of one layer; the text states lie behind them.
    """

    states: np.ndarray
    emotions: np.ndarray
    audio_size: int

    def __call__(self, place: Place) -> Draw:
        """Train the place's generator; the draw raises ValueError for an emotion without a line."""
        heard, read = self._apart(place)
        words = MiseFeatureSpace(read.shape[1], TEXT_SIZE).fit(torch.from_numpy(read))
        rows = rows_in_encoder_space(heard, place.rows.layers, GeneratorArguments().feature_size)
        rows = replace(rows, text=words.project(torch.from_numpy(read)))
        generator = place.once("paired generator", lambda: _train(place, heard, rows))
        names = place.table.label_names
        lines = {label: np.flatnonzero(self.emotions == name) for label, name in enumerate(names)}

        def draw(wanted: np.ndarray, seed: int) -> np.ndarray:
            absent = [names[label] for label in np.unique(wanted) if not len(lines[label])]
            if absent:
                raise ValueError(f"the text corpus has no line of {absent}; wanted one of each emotion")
            rng, source = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
            chosen = self.states[[rng.choice(lines[label]) for label in wanted]]
            text = words.project(torch.from_numpy(chosen))
            made = generator.generate(torch.from_numpy(wanted), text, generator=source).features
            sound = rows.space.lift(made) * rows.space.scale + rows.space.mean
            layers = len(place.rows.layers)
            both = np.concatenate(
                [sound.numpy().reshape(len(wanted), layers, -1), np.repeat(chosen[:, None], layers, axis=1)], axis=2
            )
            return place.rows.space.project(torch.from_numpy(both.reshape(len(wanted), -1))).numpy()

        return draw

    def _apart(self, place: Place) -> tuple[FeatureTable, np.ndarray]:
        """The place's rows as heard, and their text states float32 (rows, text state size)."""
        states = place.table.audio_states.astype(np.float32)
        return replace(place.table, audio_states=states[:, :, : self.audio_size]), states[:, 0, self.audio_size :]


def lines_of(folder: str, table: FeatureTable) -> PairedLines:
    """The recipe of a feature folder of texts, for a target with audio and text of the same text encoder.

    Raises:
        ValueError: for features without text, of another text encoder, or without an emotion of the target.
    """
    lines = FeatureTable.from_folder(folder)
    if lines.text_states is None or table.text_states is None or table.audio_states is None:
        raise ValueError(f"{folder!r} or the target holds no text_states, or the target no audio; wanted them all")
    require_same(table.fingerprint, lines.fingerprint, TEXT_PARTS, our_name="the target", their_name=folder)
    absent = [name for name in table.label_names if name not in lines.label_names]
    if absent:
        raise ValueError(
            f"{folder!r} has no line of {absent}; wanted each of {list(table.label_names)}: drop or merge "
            "emotions with `mise-hf prepare --label-map`"
        )
    emotions = np.array(lines.label_names)[lines.labels]
    return PairedLines(lines.text_states[:, -1].astype(np.float32), emotions, table.audio_states.shape[2])


def _train(place: Place, heard: FeatureTable, rows: TrainingRows) -> MiseGenerator:
    return train_generator(
        rows,
        GeneratorArguments(steps=place.steps, seed=place.seed, layers=list(place.rows.layers), text=True),
        label_names=heard.label_names,
        fingerprint=heard.fingerprint,
        corpora=training_corpora(heard, place.licence),
    )
