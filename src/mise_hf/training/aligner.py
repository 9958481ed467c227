"""Training of MiseAligner on pooled states: emotion, contrastive and mutual-information terms.

`accelerate launch -m mise_hf.training.aligner --config aligner.yaml`
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from mise_hf.features import FeatureTable
from mise_hf.features.missing_processes import start_missing_processes
from mise_hf.features.provenance import training_corpora
from mise_hf.models.configuration_mise import MiseAlignerConfig
from mise_hf.models.modeling_mise_aligner import MiseAligner, MiseAlignerOutput
from mise_hf.training.aligner_inputs import AlignerInputs, PooledInputs
from mise_hf.training.arguments import AlignerArguments, parse_arguments
from mise_hf.training.distributed import gather_with_gradient, reduce_metrics, share_weights
from mise_hf.training.end_to_end import close_aligner, inputs_digest, make_open_aligner, read_inputs
from mise_hf.training.loop import run_quietly, run_training
from mise_hf.training.open_encoders import quieten
from mise_hf.training.parts import BatchParts, seed_dropout, set_dropout_seed, use_part_dropout
from mise_hf.training.rows import audio_states, load_table, table_digest
from mise_hf.training.run_folder import open_run
from mise_hf.training.sampling import BalancedSampler, step_generator
from mise_hf.training.updates import MeanMetrics, Updates, trainable


class AlignerTraining:
    """State of an aligner's training."""

    def __init__(
        self,
        aligner: MiseAligner,
        table: FeatureTable | AlignerInputs,
        arguments: AlignerArguments,
        accelerator: Accelerator,
    ):
        self.arguments, self.accelerator = arguments, accelerator
        self.inputs: AlignerInputs = (
            PooledInputs(table, text=bool(aligner.config.text_state_size)) if isinstance(table, FeatureTable) else table
        )
        self.aligner = aligner.to(accelerator.device)
        self.inputs.fit(aligner.eval())
        self.aligner.train()
        encoders = [encoder for encoder in (aligner.audio_encoder, aligner.text_encoder) if encoder is not None]
        for encoder in encoders:
            quieten(encoder)
        self.sampler = BalancedSampler(self.inputs.labels, aligner.config.num_labels)
        self.parts = BatchParts(arguments.batch_size, accelerator, arguments.micro_batches)
        towers = [tower for tower in (aligner.audio_tower, aligner.text_tower) if tower is not None]
        for tower in towers:
            use_part_dropout(tower, self.parts)
        self.modules = {"aligner": self.aligner}
        share_weights(self.modules.values(), accelerator)
        self.updates = Updates(arguments, accelerator)
        self.parameters = trainable(aligner)
        inside = {id(parameter) for parameter in trainable(*encoders)}
        groups: list[dict[str, Any]] = [
            {"params": [parameter for parameter in self.parameters if id(parameter) not in inside]}
        ]
        if inside:
            opened = [parameter for parameter in self.parameters if id(parameter) in inside]
            groups.append({"params": opened, "lr": arguments.encoder_learning_rate})
        self.optimizers = {
            "aligner": torch.optim.AdamW(groups, lr=arguments.learning_rate, weight_decay=arguments.weight_decay)
        }

    def step(self, step: int) -> dict[str, float]:
        """One optimiser step on a class-balanced batch; the pairwise terms see the rows of all processes.

        With `micro_batches` they see those of one micro-batch alone: they do not decompose, as the emotion term does.
        """
        rng = step_generator(self.arguments.seed, step)
        chosen = self.sampler.draw(self.arguments.batch_size, rng)[1]
        dropout_seed = seed_dropout(rng)
        metrics = MeanMetrics()

        def losses() -> Iterator[Tensor]:
            for part in self.parts:
                set_dropout_seed(dropout_seed, self.accelerator.device)
                yield self._loss(chosen[part], metrics)

        self.updates.take(self.optimizers["aligner"], self.parameters, losses())
        return reduce_metrics(metrics.means(), self.accelerator)

    def degenerate(self) -> str | None:
        """Nothing: what can go wrong here shows in the loss."""
        return None

    def _loss(self, chosen: Tensor, metrics: MeanMetrics) -> Tensor:
        with self.updates.autocast():
            out = self.inputs.embed(self.aligner, chosen)
        everything = MiseAlignerOutput(
            **{name: gather_with_gradient(value.float(), self.accelerator) for name, value in out.items()}
        )
        text_ids = None if self.inputs.text_ids is None else self._gather(self.inputs.text_ids[chosen])
        self.aligner.add_loss(everything, self._gather(self.inputs.labels[chosen]), text_ids)
        for name in ("loss", "emotion_loss", "contrastive_loss", "mi_bound"):
            value = getattr(everything, name)
            if value is not None:
                metrics.add(name, value)
        return everything.loss

    def _gather(self, values: Tensor) -> Tensor:
        return self.accelerator.gather(values.to(self.accelerator.device))


def make_aligner(table: FeatureTable, arguments: AlignerArguments) -> MiseAligner:
    """An untrained aligner that fits the table's states; it holds no encoder."""
    with_text = arguments.text and table.text_states is not None
    config = MiseAlignerConfig(
        audio_state_size=audio_states(table).shape[2],
        text_state_size=table.text_states.shape[2] if with_text else 0,
        audio_layers=list(table.audio_layers),
        text_layers=list(table.text_layers) if with_text else [0],
        id2label=dict(enumerate(table.label_names)),
        feature_fingerprint=table.fingerprint,
        training_corpora=training_corpora(table, arguments.licence),
        **_settings(arguments),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        return MiseAligner(config)


def _settings(arguments: AlignerArguments) -> dict:
    names = ("projection_size", "hidden_size", "dropout", "emotion_weight", "contrastive_weight", "mi_weight")
    return {name: getattr(arguments, name) for name in (*names, "mi_bound", "mask_same_label")}


def train_aligner(
    table: FeatureTable,
    arguments: AlignerArguments,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> MiseAligner:
    """Train in memory, in this process."""
    training = AlignerTraining(make_aligner(table, arguments), table, arguments, Accelerator(cpu=True))
    with torch.random.fork_rng(devices=[]):
        run_quietly(training, arguments.steps, on_step)
    return training.aligner.eval()


def main(argv: Sequence[str] | None = None) -> None:
    """Train on a feature folder and leave a checkpoint in the run folder."""
    arguments = parse_arguments(AlignerArguments, argv)
    if arguments.train_encoders != "none":
        _train_end_to_end(arguments)
        return
    table = load_table(arguments.features, arguments.exclude_speakers)
    aligner = make_aligner(table, arguments)
    with open_run(arguments, table_digest(table)) as run:
        training = AlignerTraining(aligner, table, arguments, run.accelerator)
        run_training(training, arguments, run, "aligner")
        run.finish(training.aligner)


def _train_end_to_end(arguments: AlignerArguments) -> None:
    inputs = read_inputs(arguments)
    aligner = make_open_aligner(inputs, arguments, _settings(arguments))
    with open_run(arguments, inputs_digest(inputs, aligner)) as run:
        training = AlignerTraining(aligner, inputs, arguments, run.accelerator)
        run_training(training, arguments, run, "aligner")
        close_aligner(aligner, inputs)
        run.finish(aligner)


if __name__ == "__main__":
    start_missing_processes("mise_hf.training.aligner")
    main()
