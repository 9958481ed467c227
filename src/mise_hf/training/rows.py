"""From a table of pooled states to the rows that generator and head train on, in one of the two spaces."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModel, PreTrainedModel

from mise_hf.features import FeatureTable, open_table
from mise_hf.features.encoders import weights_sha256
from mise_hf.features.provenance import heard_speakers
from mise_hf.models.modeling_mise_aligner import MiseAligner
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.models.space_mise import MiseFeatureSpace

M = TypeVar("M", bound=PreTrainedModel)


@dataclass(frozen=True)
class TrainingRows:
    """Features, labels and text of training utterances.

    Attributes:
        features: float32 (rows, feature size).
        labels: int64 (rows,).
        text: float32 (rows, text size), or None.
        space: the encoder space that made the features; None in the aligned space.
        layers: encoder layers of the encoder space; None in the aligned space.
        speakers: int64 (rows,), a number for each speaker; None where a generator has no use for them.
    """

    features: Tensor
    labels: Tensor
    text: Tensor | None
    space: MiseFeatureSpace | None
    layers: tuple[int, ...] | None
    speakers: Tensor | None = None

    @property
    def feature_size(self) -> int:
        """Dimensions of a row's features."""
        return self.features.shape[1]

    @property
    def text_size(self) -> int:
        """Dimensions of a row's text, 0 without."""
        return 0 if self.text is None else self.text.shape[1]


def load_table(name: str, exclude_speakers: list[str]) -> FeatureTable:
    """Features by folder or 'emodb' (the embedded ones), without the speakers kept for testing.

    Raises:
        ValueError: for a speaker that the corpus does not have, or fewer than two speakers left.
    """
    table = open_table(name)
    absent = sorted(set(exclude_speakers) - set(table.speakers))
    if absent:
        raise ValueError(f"exclude_speakers has {absent}; wanted some of {sorted(set(map(str, table.speakers)))}")
    table = table.select(~np.isin(table.speakers, exclude_speakers))
    check_trainable(table.speakers, table.labels, table.label_names)
    return table


def load_checkpoint(kind: type[M], path: str) -> M:
    """A checkpoint of ours by Hub id or folder.

    Raises:
        ValueError: for none there, or one of another kind.
    """
    try:
        model = AutoModel.from_pretrained(path)
    except OSError as error:
        raise ValueError(f"{path!r} is no checkpoint that loads: {error}") from error
    if not isinstance(model, kind):
        raise ValueError(f"{path!r} holds a {type(model).__name__}; wanted a {kind.__name__}")
    return model


def check_trainable(speakers: Sequence[str] | np.ndarray, labels: np.ndarray, label_names: Sequence[str]) -> None:
    """Raise ValueError for fewer than two speakers, or a class with fewer than two utterances.

    Args:
        speakers: of the rows.
        labels: of the rows, int64 (rows,).
        label_names: emotions.
    """
    known = sorted(set(map(str, speakers)))
    if len(known) < 2:
        raise ValueError(f"the training rows have the speakers {known}; wanted at least 2")
    counts = np.bincount(labels, minlength=len(label_names))
    few = {label_names[i]: int(n) for i, n in enumerate(counts) if n < 2}
    if few:
        raise ValueError(f"classes with fewer than 2 training utterances: {few}; wanted at least 2 each, or drop them")


def audio_states(table: FeatureTable) -> Tensor:
    """Pooled audio states, float32 (rows, layers, 2 * hidden)."""
    if table.audio_states is None:
        raise ValueError("the features hold no audio_states; wanted a corpus with audio")
    return torch.from_numpy(table.audio_states.astype(np.float32))


def text_states(table: FeatureTable) -> Tensor | None:
    """Pooled text states, float32 (rows, layers, 2 * hidden); None without transcripts."""
    return None if table.text_states is None else torch.from_numpy(table.text_states.astype(np.float32))


def speaker_numbers(table: FeatureTable) -> Tensor:
    """A number from 0 for each speaker, int64 (rows,)."""
    return torch.from_numpy(np.unique(table.speakers, return_inverse=True)[1].astype(np.int64))


def sentence_embeddings(table: FeatureTable) -> Tensor:
    """Mean over tokens of the last text layer, scaled to unit length: float32 (rows, hidden).

    Raises:
        ValueError: for features without text.
    """
    states = text_states(table)
    if states is None:
        raise ValueError("the features hold no text_states; wanted transcripts: extract with --text-encoder")
    return F.normalize(states[:, -1, : states.shape[2] // 2], dim=1)


def rows_in_encoder_space(
    table: FeatureTable, layers: int | Sequence[int], feature_size: int, text: bool = False
) -> TrainingRows:
    """Standardised principal components of one layer's states, or of several side by side, fitted on these rows."""
    states = torch.from_numpy(table.layer(layers))
    size = min(feature_size, states.shape[1], len(states) - 1)
    space = MiseFeatureSpace(states.shape[1], size).fit(states)
    labels = torch.from_numpy(table.labels)
    chosen = (layers,) if isinstance(layers, int) else tuple(layers)
    return TrainingRows(
        space.project(states),
        labels,
        sentence_embeddings(table) if text else None,
        space,
        chosen,
        speaker_numbers(table),
    )


def rows_in_space_of(table: FeatureTable, generator: MiseGenerator, text: bool = False) -> TrainingRows:
    """The table's states in a generator's encoder space, standardised on themselves as another corpus must be.

    Raises:
        ValueError: where the labels of the two differ.
    """
    names = tuple(generator.config.id2label[i] for i in range(generator.config.num_labels))
    if names != tuple(table.label_names):
        raise ValueError(
            f"the features have the labels {list(table.label_names)}; wanted the generator's {list(names)}"
        )
    states = torch.from_numpy(table.layer(generator.config.state_layers))
    space = copy.deepcopy(generator.space)
    space.adopt(states)
    labels = torch.from_numpy(table.labels)
    text_rows = sentence_embeddings(table) if text else None
    return TrainingRows(
        space.project(states), labels, text_rows, space, tuple(generator.config.state_layers), speaker_numbers(table)
    )


@torch.no_grad()
def rows_in_aligned_space(table: FeatureTable, aligner: MiseAligner, text: bool = False) -> TrainingRows:
    """The aligner's audio_embeds, and with `text` its text_embeds.

    Raises:
        ValueError: where the labels of the two differ, or text is wanted and there is none.
    """
    names = [aligner.config.id2label[i] for i in range(aligner.config.num_labels)]
    if names != list(table.label_names):
        raise ValueError(f"the features have the labels {list(table.label_names)}; wanted the aligner's {names}")
    aligner.eval()
    states = text_states(table) if text else None
    if text and states is None:
        raise ValueError("the features hold no text_states; wanted transcripts: extract with --text-encoder")
    out = aligner(audio_states=audio_states(table), text_states=states)
    return TrainingRows(
        out.audio_embeds, torch.from_numpy(table.labels), out.text_embeds, None, None, speaker_numbers(table)
    )


def aligned_fingerprint(fingerprint: dict, aligner: MiseAligner | None) -> dict:
    """The features' fingerprint, with the aligner's weights where the features are its embeddings."""
    return fingerprint if aligner is None else {**fingerprint, "aligner": weights_sha256(aligner.audio_tower)}


def table_digest(table: FeatureTable, *models: PreTrainedModel | None) -> str:
    """SHA-256 of what a training learns from: states, labels, and the models that it is built on."""
    digest = hashlib.sha256()
    for values in (table.audio_states, table.text_states, table.labels):
        if values is not None:
            digest.update(f"{values.dtype}{values.shape}".encode())
            digest.update(np.ascontiguousarray(values).data)
    for model in models:
        digest.update(b"" if model is None else weights_sha256(model).encode())
    return digest.hexdigest()


def merged_corpora(own: list[dict], *models: PreTrainedModel | None) -> list[dict]:
    """What a model has seen: its own rows, and whatever the models that it is built on have seen."""
    merged = {corpus["name"]: dict(corpus) for corpus in own}
    for model in models:
        for corpus in (model.config.training_corpora or []) if model is not None else []:
            known = merged.setdefault(corpus["name"], dict(corpus))
            known["speakers"] = sorted({*known["speakers"], *corpus["speakers"]})
            known["utterances"] = max(known["utterances"], corpus["utterances"])
    return list(merged.values())


def require_unheard(speakers: Sequence[str], corpus: str, *models: PreTrainedModel | None) -> None:
    """Refuse models that have heard the `speakers` of `corpus` which this training is to leave out.

    Raises:
        ValueError: naming the speakers and the model.
    """
    for model in models:
        heard = heard_speakers(model.config.training_corpora or [], corpus, speakers) if model is not None else []
        if heard:
            raise ValueError(
                f"the {type(model).__name__} has heard the speakers {', '.join(heard)} of {corpus}, which are left "
                "out here; wanted one trained with the same --exclude_speakers"
            )
