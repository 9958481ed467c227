"""Training of an aligner with its encoders open: from a prepared corpus, through the encoders, to one checkpoint."""

import hashlib
import json
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from mise_hf.corpora.prepared import read_prepared
from mise_hf.features.encoders import weights_sha256
from mise_hf.features.fingerprint import POOLING
from mise_hf.features.provenance import training_corpora
from mise_hf.models.modeling_mise_aligner import MiseAligner
from mise_hf.training.aligner_inputs import RawInputs
from mise_hf.training.arguments import AlignerArguments
from mise_hf.training.open_encoders import close_encoder, open_encoder
from mise_hf.training.rows import check_trainable


def read_inputs(arguments: AlignerArguments) -> RawInputs:
    """The recordings and transcripts of the prepared corpus that `features` names.

    Raises:
        ValueError: for no prepared corpus there, or one without enough speakers or rows of a class.
    """
    inputs = RawInputs(
        read_prepared(arguments.features),
        arguments.exclude_speakers,
        arguments.audio_encoder,
        arguments.text_encoder if arguments.text else "",
        arguments.max_seconds,
    )
    check_trainable(inputs.speakers, inputs.labels.numpy(), inputs.label_names)
    return inputs


def inputs_digest(inputs: RawInputs, aligner: MiseAligner) -> str:
    """SHA-256 of the rows and the encoders' weights."""
    rows = [[row["id"], row["audio"], row["text"], row["label"]] for row in inputs.rows]
    return hashlib.sha256((json.dumps(rows) + weights_sha256(aligner)).encode()).hexdigest()


def make_open_aligner(inputs: RawInputs, arguments: AlignerArguments, settings: dict) -> MiseAligner:
    """An aligner around the pretrained encoders, some of whose weights are trainable.

    Args:
        inputs: the rows.
        arguments: of the training.
        settings: further fields of `MiseAlignerConfig`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        aligner = MiseAligner.from_encoders(
            arguments.audio_encoder,
            arguments.text_encoder if inputs.tokenizer is not None else None,
            labels=inputs.label_names,
            audio_layers=arguments.audio_layers,
            train_encoders=True,
            training_corpora=training_corpora(cast(Any, inputs), arguments.licence),
            **settings,
        )
        for encoder, layers in _encoders(aligner):
            open_encoder(
                encoder,
                arguments.train_encoders,
                layers,
                blocks=arguments.last_n,
                rank=arguments.lora_rank,
                checkpointing=arguments.gradient_checkpointing,
            )
    return aligner


def close_aligner(aligner: MiseAligner, inputs: RawInputs) -> None:
    """Make a trained aligner one that anyone can load: plain encoders inside, and its states known by their weights."""
    names = {}
    for kind, (encoder, _) in zip(("audio_encoder", "text_encoder"), _encoders(aligner), strict=False):
        close_encoder(encoder)
        names[kind] = {"id": "fine-tuned", "revision": None, "weights_sha256": weights_sha256(encoder)}
    aligner.config.train_encoders = False
    aligner.config.feature_fingerprint = {
        "audio_encoder": names["audio_encoder"],
        "text_encoder": names.get("text_encoder"),
        "audio_layers": list(aligner.config.audio_layers),
        "text_layers": list(aligner.config.text_layers) if "text_encoder" in names else [],
        "pooling": POOLING,
        "sampling_rate": inputs.extractor.sampling_rate,
    }


def _encoders(aligner: MiseAligner) -> list[tuple[PreTrainedModel, list[int]]]:
    pairs = [(aligner.audio_encoder, list(aligner.config.audio_layers))]
    if aligner.text_encoder is not None:
        pairs.append((aligner.text_encoder, list(aligner.config.text_layers)))
    return pairs
