"""Configurations of the aligner, the generator and the speech-emotion-recognition (SER) head: data and its validation.

Travels to the Hub with the models: imports transformers and siblings of this folder, never `mise_hf`.
"""

from typing import Any, Literal

from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from .bounds_mise import (
    MAX_LABELS,
    MAX_LAYERS,
    MAX_WIDTH,
    check_choice,
    check_encoder,
    check_flag,
    check_integer,
    check_label_names,
    check_layers,
    check_number,
    check_parameters,
)

Space = Literal["encoder", "aligned"]
MIBound = Literal["info_nce", "nwj", "smile"]
Head = Literal["linear", "mlp"]

# What transformers itself passes through a configuration's keywords beside the fields.
_TRANSFORMERS_KEYS = {
    "attn_implementation",
    "auto_map",
    "code_revision",
    "experts_implementation",
    "model_type",
    "name_or_path",
    "num_labels",
    "output_attentions",
    "torch_dtype",
    "trust_remote_code",
    "_commit_hash",
    "_attn_implementation_internal",
    "_experts_implementation_internal",
}

_DTYPES = ("float32", "float16", "bfloat16", "float64")


class _MiseConfig(PreTrainedConfig):
    """What the three configurations share: labels, the feature fingerprint, and refusing what they do not know."""

    feature_fingerprint: dict | None = None
    training_corpora: list[dict] | None = None

    def __post_init__(self, **kwargs):
        unknown = sorted(key for key in kwargs if key not in _TRANSFORMERS_KEYS)
        if unknown:
            known = sorted({"feature_fingerprint", "training_corpora", "id2label", *type(self).__annotations__})
            raise ValueError(
                f"unknown keys {', '.join(unknown)} for {self.model_type}; wanted some of {', '.join(known)}"
            )
        if self.id2label is not None:
            check_label_names(self.id2label)
        # As read, before transformers makes configurations of them.
        for name in type(self).sub_configs_defaults:
            value = getattr(self, name)
            if isinstance(value, dict):
                check_encoder(name, value)
            elif value is not None and not isinstance(value, PreTrainedConfig):
                raise ValueError(f"{name} is {value!r:.80}; wanted a configuration, a mapping or None")
        if "num_labels" in kwargs:
            check_integer("num_labels", kwargs["num_labels"], 1, MAX_LABELS)
        # Without one, transformers would read it off the weights, whatever file an index names.
        if self.dtype is None:
            self.dtype = "float32"
        if str(self.dtype).removeprefix("torch.") not in _DTYPES:
            raise ValueError(f"dtype is {self.dtype!r:.80}; wanted one of {', '.join(_DTYPES)}")
        super().__post_init__(**kwargs)
        names = {int(index): str(label) for index, label in (self.id2label or {}).items()}
        if sorted(names) != list(range(len(names))):
            raise ValueError(f"id2label has the ids {sorted(names)!r:.80}; wanted 0, 1, ... without a gap")
        self.label2id = {label: index for index, label in names.items()}
        if len(self.label2id) != len(names):
            raise ValueError(f"id2label is {names!r:.200}; wanted different label names")
        if self.feature_fingerprint is not None and not isinstance(self.feature_fingerprint, dict):
            raise ValueError(f"feature_fingerprint is {self.feature_fingerprint!r:.80}; wanted a mapping or None")
        corpora = self.training_corpora
        if corpora is not None and not (
            isinstance(corpora, list) and all(isinstance(entry, dict) for entry in corpora)
        ):
            raise ValueError(f"training_corpora is {corpora!r:.80}; wanted a list of mappings or None")
        self.check()
        check_parameters(self.model_type, self.count_parameters())

    def to_dict(self) -> dict:
        """What `save_pretrained` writes: without the folder on this machine that an encoder was read from."""
        output = super().to_dict()
        for name in type(self).sub_configs_defaults:
            if isinstance(output.get(name), dict):
                output[name].pop("_name_or_path", None)
        return output

    def check(self) -> None:
        """Raise ValueError for a value out of its range; subclasses say which."""
        raise NotImplementedError

    def count_parameters(self) -> int:
        """Numbers in the model's own tensors, its encoders' not counted."""
        raise NotImplementedError


class MiseAlignerConfig(_MiseConfig):
    """Configuration of `MiseAligner`.

    Args:
        audio_config: configuration of the audio encoder; None for an aligner over states pooled elsewhere.
        text_config: configuration of the text encoder; None likewise.
        audio_state_size: 2 * hidden size of the audio encoder (mean and standard deviation over time).
        text_state_size: 2 * hidden size of the text encoder; 0 for an aligner without text.
        audio_layers, text_layers: the layers whose pooled states are mixed with learned weights.
        projection_size: dimensions of `audio_embeds` h and `text_embeds` t.
        hidden_size: width of the projections' hidden layer; 0 for linear projections.
        dropout: share of the pooled states' dimensions dropped in training.
        temperature: initial temperature of the contrastive term (learned).
        emotion_weight, contrastive_weight, mi_weight: weights of the three terms of the loss.
        mi_bound: which lower bound on I(h; t) is maximised.
        mask_same_text, mask_same_label: do not treat rows with the same text (the same label) as negatives.
        train_encoders: whether gradients reach the encoders' weights.
        feature_fingerprint: which encoders, layers and pooling the states come from.
        training_corpora: as in `MiseGeneratorConfig`.
    """

    model_type = "mise_aligner"
    sub_configs_defaults = {
        "audio_config": SubConfigSpec(config_class=AutoConfig, model_type="wav2vec2", optional=True),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="bert", optional=True),
    }

    audio_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None
    audio_state_size: int = 1024
    text_state_size: int = 768
    audio_layers: list[int] | tuple[int, ...] = (1, 2, 3, 4)
    text_layers: list[int] | tuple[int, ...] = (6,)
    projection_size: int = 128
    hidden_size: int = 0
    dropout: float = 0.2
    temperature: float = 0.07
    emotion_weight: float = 1.0
    contrastive_weight: float = 0.1
    mi_weight: float = 0.1
    mi_bound: MIBound = "smile"
    mask_same_text: bool = True
    mask_same_label: bool = False
    train_encoders: bool = False

    def check(self) -> None:
        """Raise ValueError for a value out of its range."""
        check_integer("audio_state_size", self.audio_state_size, 1, MAX_WIDTH)
        check_integer("text_state_size", self.text_state_size, 0, MAX_WIDTH)
        check_integer("projection_size", self.projection_size, 1, MAX_WIDTH)
        check_integer("hidden_size", self.hidden_size, 0, MAX_WIDTH)
        check_layers("audio_layers", self.audio_layers)
        check_layers("text_layers", self.text_layers)
        check_number("dropout", self.dropout, 0, 0.95)
        check_number("temperature", self.temperature, 1e-3, 100)
        for name in ("emotion_weight", "contrastive_weight", "mi_weight"):
            check_number(name, getattr(self, name), 0, 1e6)
        check_choice("mi_bound", self.mi_bound, MIBound)
        for name in ("mask_same_text", "mask_same_label", "train_encoders"):
            check_flag(name, getattr(self, name))

    def count_parameters(self) -> int:
        """Numbers in the model's own tensors, its encoders' not counted."""
        count = self.projection_size**2
        for layers, width in ((self.audio_layers, self.audio_state_size), (self.text_layers, self.text_state_size)):
            inner = self.hidden_size or width
            count += 2 * len(layers) * width + width * self.hidden_size
            count += (inner + len(self.id2label or {})) * self.projection_size
        return count


class MiseGeneratorConfig(_MiseConfig):
    """Configuration of `MiseGenerator`.

    Args:
        feature_size: dimensions of a generated feature h_hat.
        noise_size: dimensions of the noise z.
        speaker_noise_size: how many of them, the first ones, the utterances of one speaker in one emotion share.
        text_size: dimensions of the text embedding t that conditions the generator; 0 for none.
        paired_text_size: dimensions of the text feature t_hat generated beside h_hat; 0 for none.
        hidden_size, num_hidden_layers: width and number of the residual layers.
        label_embedding_size: dimensions of the emotion's embedding.
        space: "encoder" for standardised principal components of a frozen encoder's pooled states (shared by whoever
            uses the same encoder), "aligned" for an aligner's `audio_embeds`.
        state_size: dimensions of the pooled states that the encoder space is made of; 0 in the aligned space.
        state_layers: which of the encoder's layers the states come from, side by side (encoder space).
        feature_fingerprint: which encoders, layers and pooling (and aligner) the features come from.
        training_corpora: one mapping per training corpus: name, licence, speakers, utterances; with the aligner's.
    """

    model_type = "mise_generator"

    feature_size: int = 128
    noise_size: int = 128
    speaker_noise_size: int = 0
    text_size: int = 0
    paired_text_size: int = 0
    hidden_size: int = 256
    num_hidden_layers: int = 2
    label_embedding_size: int = 64
    space: Space = "encoder"
    state_size: int = 0
    state_layers: list[int] | tuple[int, ...] | None = None

    def check(self) -> None:
        """Raise ValueError for a value out of its range."""
        for name in ("feature_size", "noise_size", "hidden_size", "label_embedding_size"):
            check_integer(name, getattr(self, name), 1, MAX_WIDTH)
        for name in ("text_size", "paired_text_size", "state_size"):
            check_integer(name, getattr(self, name), 0, MAX_WIDTH)
        check_integer("speaker_noise_size", self.speaker_noise_size, 0, self.noise_size)
        check_integer("num_hidden_layers", self.num_hidden_layers, 0, MAX_LAYERS)
        check_choice("space", self.space, Space)
        if self.space == "aligned" and self.state_size:
            raise ValueError(f"state_size is {self.state_size} in the aligned space; wanted 0")
        if self.state_layers is not None:
            check_layers("state_layers", self.state_layers)

    def count_parameters(self) -> int:
        """Numbers in the model's own tensors."""
        made, labels = self.feature_size + self.paired_text_size, len(self.id2label or {})
        width = self.noise_size + self.label_embedding_size + self.text_size
        return (
            (labels + self.noise_size + self.hidden_size) * made
            + labels * self.label_embedding_size
            + (width + self.num_hidden_layers * self.hidden_size) * self.hidden_size
            + self.state_size * (self.feature_size + 2)
        )


class MiseSerConfig(_MiseConfig):
    """Configuration of `MiseForAudioClassification`.

    Args:
        audio_config: configuration of the audio encoder inside; None where the head takes pooled states or features.
        aligner_config: configuration of the aligner inside (aligned space); None in the encoder space.
        space: the space of the features, as in `MiseGeneratorConfig`.
        state_size: 2 * hidden size of the audio encoder, times the number of layers.
        state_layers: which of the encoder's layers are used, side by side (encoder space).
        feature_size: dimensions of a feature h.
        text_size: dimensions of the text feature that an audio+text head takes beside h; 0 for audio only.
        head: "linear" or "mlp".
        hidden_size: width of the mlp's hidden layer.
        dropout: share of dimensions dropped in training.
        feature_fingerprint: which encoders, layers and pooling the features come from.
        training_corpora: as in `MiseGeneratorConfig`; with those of the aligner and generator that it is built on.
    """

    model_type = "mise_ser"
    sub_configs_defaults = {
        "audio_config": SubConfigSpec(config_class=AutoConfig, model_type="wav2vec2", optional=True),
        "aligner_config": SubConfigSpec(config_class=MiseAlignerConfig, optional=True),
    }

    audio_config: dict | PreTrainedConfig | None = None
    aligner_config: dict | PreTrainedConfig | None = None
    space: Space = "encoder"
    state_size: int = 1024
    state_layers: list[int] | tuple[int, ...] = (3,)
    feature_size: int = 128
    text_size: int = 0
    head: Head = "mlp"
    hidden_size: int = 256
    dropout: float = 0.3

    def check(self) -> None:
        """Raise ValueError for a value out of its range."""
        for name in ("state_size", "feature_size", "hidden_size"):
            check_integer(name, getattr(self, name), 1, MAX_WIDTH)
        check_integer("text_size", self.text_size, 0, MAX_WIDTH)
        check_layers("state_layers", self.state_layers)
        check_number("dropout", self.dropout, 0, 0.95)
        check_choice("space", self.space, Space)
        check_choice("head", self.head, Head)
        if (self.space == "aligned") != (self.aligner_config is not None):
            raise ValueError(
                f"space is {self.space!r} and aligner_config is {'given' if self.aligner_config else 'None'}; wanted "
                "one exactly in the aligned space"
            )
        aligner: Any = self.aligner_config
        if self.space == "aligned" and aligner.projection_size != self.feature_size:
            raise ValueError(
                f"feature_size is {self.feature_size}; wanted the aligner's projection_size {aligner.projection_size}"
            )

    def count_parameters(self) -> int:
        """Numbers in the model's own tensors, its encoders' and aligner's not counted."""
        size, labels = self.feature_size + self.text_size, len(self.id2label or {})
        inner = self.hidden_size if self.head == "mlp" else 0
        space = self.state_size * (self.feature_size + 2) if self.space == "encoder" else 0
        return space + size * inner + (inner or size) * labels
