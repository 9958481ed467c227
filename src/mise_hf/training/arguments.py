"""Arguments of the three trainings: a YAML file gives the defaults, flags override it."""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from transformers import HfArgumentParser

T = TypeVar("T", "AlignerArguments", "GeneratorArguments", "ClassifierArguments")


@dataclass
class RunArguments:
    """What every training takes."""

    features: str = field(
        default="emodb", metadata={"help": "folder that `mise-hf extract` wrote, or 'emodb' for the embedded features"}
    )
    output_dir: str = field(default="runs/train", metadata={"help": "folder of the run"})
    exclude_speakers: list[str] = field(
        default_factory=list, metadata={"help": "speakers kept for testing: training sees none of their rows"}
    )
    licence: str = field(
        default="unstated", metadata={"help": "licence of the corpus, for the checkpoint and its card"}
    )
    steps: int = field(default=600, metadata={"help": "optimiser steps"})
    batch_size: int = field(default=128, metadata={"help": "rows of one step, over all processes"})
    learning_rate: float = field(default=1e-3, metadata={"help": "learning rate of Adam"})
    micro_batches: int = field(
        default=1,
        metadata={
            "help": "parts that each process cuts its share of a batch into, adding up gradients, to save memory"
        },
    )
    max_grad_norm: float = field(default=0.0, metadata={"help": "gradients longer than this are clipped; 0 for never"})
    mixed_precision: Literal["no", "bf16"] = field(
        default="no", metadata={"help": "bfloat16 products; `accelerate launch --mixed_precision` sets it too"}
    )
    seed: int = field(default=0, metadata={"help": "seed of every draw"})
    save_every: int = field(default=200, metadata={"help": "steps between checkpoints; the newest two are kept"})
    overwrite: bool = field(default=False, metadata={"help": "replace a run that the output folder holds"})
    resume: Literal["latest", "none"] = field(
        default="latest", metadata={"help": "go on from the newest checkpoint of the same configuration"}
    )

    def check(self) -> None:
        """Raise ValueError for a value of another type or out of its range."""
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if get_origin(kind) is Literal:
                if value not in get_args(kind):
                    raise ValueError(f"{name} is {value!r}; wanted one of {', '.join(get_args(kind))}")
                continue
            plain = get_origin(kind) or kind
            fits = isinstance(value, (int, float) if plain is float else plain)
            if not fits or (plain is not bool and isinstance(value, bool)):
                raise ValueError(f"{name} is {value!r}; wanted {plain.__name__}")
        for name in ("steps", "batch_size", "save_every", "micro_batches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wanted 1 or more")
        if self.batch_size < 2:
            raise ValueError(f"batch_size is {self.batch_size}; wanted 2 or more")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; wanted more than 0")
        if not self.max_grad_norm >= 0:
            raise ValueError(f"max_grad_norm is {self.max_grad_norm}; wanted 0 (no clipping) or more")

    def as_dict(self) -> dict:
        """For the run folder and the tracker: plain values."""
        return asdict(self)


@dataclass
class AlignerArguments(RunArguments):
    """Arguments of the aligner's training."""

    steps: int = field(default=300, metadata={"help": "optimiser steps"})
    text: bool = field(default=True, metadata={"help": "align with the transcripts' states, where there are any"})
    projection_size: int = field(default=64, metadata={"help": "dimensions of h and t"})
    hidden_size: int = field(default=0, metadata={"help": "width of the projections' hidden layer; 0 for linear"})
    dropout: float = field(default=0.5, metadata={"help": "share of pooled dimensions dropped in training"})
    weight_decay: float = field(default=0.1, metadata={"help": "decoupled weight decay of AdamW"})
    emotion_weight: float = field(default=1.0, metadata={"help": "weight of the emotion cross-entropy"})
    contrastive_weight: float = field(default=0.1, metadata={"help": "weight of the contrastive term"})
    mi_weight: float = field(default=0.1, metadata={"help": "weight of the bound on I(h; t)"})
    mi_bound: Literal["info_nce", "nwj", "smile"] = field(default="smile", metadata={"help": "which bound"})
    mask_same_label: bool = field(default=False, metadata={"help": "same-label pairs are no negatives"})
    train_encoders: Literal["none", "last_n", "lora"] = field(
        default="none",
        metadata={"help": "train the encoders too; `features` is then a prepared corpus: what `mise-hf prepare` wrote"},
    )
    audio_encoder: str = field(default="", metadata={"help": "Hub id or folder, with train_encoders"})
    text_encoder: str = field(default="", metadata={"help": "Hub id or folder, with train_encoders and text"})
    audio_layers: list[int] = field(
        default_factory=lambda: [1, 2, 3, 4], metadata={"help": "layers of the audio encoder, with train_encoders"}
    )
    last_n: int = field(default=1, metadata={"help": "blocks below the highest layer used that last_n trains"})
    lora_rank: int = field(default=8, metadata={"help": "rank of lora's additions"})
    encoder_learning_rate: float = field(default=1e-5, metadata={"help": "learning rate of the encoders' weights"})
    gradient_checkpointing: bool = field(
        default=False, metadata={"help": "compute the encoders' blocks twice to save memory"}
    )
    max_seconds: float = field(default=10.0, metadata={"help": "seconds of a recording taken, with train_encoders"})

    def check(self) -> None:
        """Raise ValueError for a value out of its range."""
        super().check()
        for name in ("last_n", "lora_rank"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wanted 1 or more")
        for name in ("encoder_learning_rate", "max_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; wanted more than 0")
        if self.train_encoders != "none":
            if not self.audio_encoder or (self.text and not self.text_encoder):
                raise ValueError(
                    f"train_encoders is {self.train_encoders}; wanted --audio_encoder, and --text_encoder or --text "
                    "false"
                )
            if self.features == "emodb":
                raise ValueError(
                    f"train_encoders is {self.train_encoders} and features is 'emodb'; wanted a prepared corpus, whose "
                    "recordings the encoders can hear"
                )


@dataclass
class GeneratorArguments(RunArguments):
    """Arguments of the generator's training. `mi_weight=0` without text is the label-only conditional GAN."""

    steps: int = field(default=500, metadata={"help": "optimiser steps of critic and generator each"})
    learning_rate: float = field(default=2e-4, metadata={"help": "learning rate of Adam"})
    aligner: str = field(default="", metadata={"help": "aligner checkpoint: features are its audio_embeds"})
    layers: list[int] = field(
        default_factory=lambda: [3], metadata={"help": "encoder layers whose states the encoder space is made of"}
    )
    feature_size: int = field(default=64, metadata={"help": "principal components of the encoder space"})
    text: bool = field(default=False, metadata={"help": "condition on the transcript"})
    speaker_noise_size: int = field(
        default=0, metadata={"help": "dimensions of the noise that one speaker's utterances of an emotion share"}
    )
    paired: bool = field(default=False, metadata={"help": "generate the text feature beside the audio feature"})
    hidden_size: int = field(default=256, metadata={"help": "width of generator and critics"})
    mi_weight: float = field(default=0.1, metadata={"help": "weight of the mutual-information regulariser"})
    mi_estimator: Literal["variational", "info_nce", "smile", "nwj"] = field(
        default="variational", metadata={"help": "which bound on I((c, t); h_hat) is maximised"}
    )
    mi_reference: Literal["real", "synthetic"] = field(
        default="real", metadata={"help": "'real': against a critic of real rows; 'synthetic': InfoGAN's own form"}
    )
    penalty_weight: float = field(default=10.0, metadata={"help": "weight of the R1 and R2 gradient penalties"})
    penalty_every: int = field(default=4, metadata={"help": "steps between gradient penalties"})
    instance_noise: float = field(
        default=1.0,
        metadata={"help": "noise on what the critic sees, in standard deviations of a feature: few rows, much noise"},
    )
    ema_decay: float = field(default=0.99, metadata={"help": "decay of the averaged generator that is saved"})
    text_dropout: float = field(default=0.1, metadata={"help": "share of rows trained without their text"})
    stream: bool = field(
        default=False,
        metadata={
            "help": "read the feature folder's shards as they are needed: every row once an epoch, labels as "
            "often as the corpus has them"
        },
    )
    buffer_rows: int = field(default=65536, metadata={"help": "rows among which a stream is shuffled"})
    stream_lanes: int = field(
        default=8, metadata={"help": "independent readers of a stream; each process takes its share of them"}
    )

    def check(self) -> None:
        """Raise ValueError for a value out of its range."""
        super().check()
        for name, low, high in (
            ("mi_weight", 0, 1e3),
            ("penalty_weight", 0, 1e6),
            ("speaker_noise_size", 0, 4096),
            ("penalty_every", 1, 1e6),
            ("instance_noise", 0, 100),
            ("ema_decay", 0, 0.999999),
            ("text_dropout", 0, 1),
            ("buffer_rows", 1, 1e9),
            ("stream_lanes", 1, 1e6),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}; wanted {low} to {high}")
        if self.stream and self.speaker_noise_size:
            raise ValueError(
                f"stream is on and speaker_noise_size is {self.speaker_noise_size}; wanted 0: streams keep no speakers"
            )
        if self.stream and self.features == "emodb":
            raise ValueError("stream is on and features is 'emodb'; wanted a folder that `mise-hf extract` wrote")


@dataclass
class ClassifierArguments(RunArguments):
    """Arguments of the SER head's training on real and, with a generator, synthetic features."""

    steps: int = field(default=300, metadata={"help": "optimiser steps"})
    generator: str = field(default="", metadata={"help": "generator checkpoint whose features are mixed in"})
    ratio: float = field(default=0.5, metadata={"help": "share of synthetic rows in a batch, with a generator"})
    aligner: str = field(default="", metadata={"help": "aligner checkpoint: features are its audio_embeds"})
    layers: list[int] = field(
        default_factory=lambda: [3], metadata={"help": "encoder layers, without aligner and generator"}
    )
    feature_size: int = field(default=128, metadata={"help": "principal components, without aligner and generator"})
    modality: Literal["audio", "audio+text"] = field(default="audio", metadata={"help": "what the head takes"})
    head: Literal["linear", "mlp"] = field(default="mlp", metadata={"help": "kind of head"})
    hidden_size: int = field(default=256, metadata={"help": "width of the mlp head"})
    dropout: float = field(default=0.3, metadata={"help": "share of dimensions dropped in training"})
    weight_decay: float = field(default=0.1, metadata={"help": "decoupled weight decay of AdamW"})

    def check(self) -> None:
        """Raise ValueError for a value out of its range."""
        super().check()
        if not 0 <= self.ratio < 1:
            raise ValueError(f"ratio is {self.ratio}; wanted 0 up to, but not, 1")


def parse_arguments(kind: type[T], argv: Sequence[str] | None = None) -> T:
    """Arguments from `--config FILE.yaml` and flags; flags win.

    Raises:
        ValueError: for a key in the YAML file that the training does not know, or a value out of its range.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = HfArgumentParser(cast(Any, kind))
    parser.add_argument("--config", type=Path, default=None, help="YAML file with any of these arguments")
    parser.set_defaults(mixed_precision=os.environ.get("ACCELERATE_MIXED_PRECISION", "no"))
    config = parser.parse_known_args(argv)[0].config
    if config is not None:
        try:
            values = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError) as error:
            raise ValueError(f"{config} cannot be read as YAML: {error}") from error
        if not isinstance(values, dict):
            raise ValueError(f"{config} holds a {type(values).__name__}; wanted keys and values")
        known = {entry.name for entry in fields(kind)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"{config.name} has the unknown keys {unknown}; wanted some of {sorted(known)}")
        parser.set_defaults(**values)
    namespace = vars(parser.parse_args(argv))
    namespace.pop("config")
    arguments = kind(**namespace)
    arguments.check()
    return arguments
