"""Training of MiseAligner on pooled states: emotion, contrastive and mutual-information terms.

`accelerate launch -m mise_hf.training.aligner --config aligner.yaml`
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from mise_hf.features import FeatureTable
from mise_hf.models.configuration_mise import MiseAlignerConfig
from mise_hf.models.modeling_mise_aligner import MiseAligner, MiseAlignerOutput
from mise_hf.training.arguments import AlignerArguments, parse_arguments
from mise_hf.training.distributed import gather_with_gradient, reduce_metrics, share_weights
from mise_hf.training.loop import run_quietly, run_training
from mise_hf.training.parts import BatchParts, seed_dropout, use_part_dropout
from mise_hf.training.rows import audio_states, load_table, table_digest, text_states, training_corpora
from mise_hf.training.run_folder import open_run
from mise_hf.training.sampling import BalancedSampler, step_generator
from mise_hf.training.updates import MeanMetrics, Updates, trainable


class AlignerTraining:
    """State of an aligner's training."""

    def __init__(
        self, aligner: MiseAligner, table: FeatureTable, arguments: AlignerArguments, accelerator: Accelerator
    ):
        self.arguments, self.accelerator = arguments, accelerator
        self.audio = audio_states(table)
        self.text = text_states(table) if aligner.config.text_state_size else None
        self.labels = torch.from_numpy(table.labels)
        aligner.audio_tower.fit_scaler(self.audio)
        self.text_ids = None
        if self.text is not None:
            aligner.text_tower.fit_scaler(self.text)
            self.text_ids = self.text.flatten(1).unique(dim=0, return_inverse=True)[1]
        self.sampler = BalancedSampler(self.labels, aligner.config.num_labels)
        self.parts = BatchParts(arguments.batch_size, accelerator, arguments.micro_batches)
        self.aligner = aligner.to(accelerator.device).train()
        use_part_dropout(self.aligner, self.parts)
        self.modules = {"aligner": self.aligner}
        share_weights(self.modules.values(), accelerator)
        self.updates = Updates(arguments, accelerator)
        self.parameters = trainable(aligner)
        self.optimizers = {
            "aligner": torch.optim.AdamW(
                self.parameters, lr=arguments.learning_rate, weight_decay=arguments.weight_decay
            )
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
                torch.manual_seed(dropout_seed)
                yield self._loss(chosen[part], metrics)

        self.updates.take(self.optimizers["aligner"], self.parameters, losses())
        return reduce_metrics(metrics.means(), self.accelerator)

    def degenerate(self) -> str | None:
        """Nothing: what can go wrong here shows in the loss."""
        return None

    def _loss(self, chosen: Tensor, metrics: MeanMetrics) -> Tensor:
        device = self.accelerator.device
        text = None if self.text is None else self.text[chosen].to(device)
        with self.updates.autocast():
            out = self.aligner.embed(self.audio[chosen].to(device), text)
        everything = MiseAlignerOutput(
            **{name: gather_with_gradient(value.float(), self.accelerator) for name, value in out.items()}
        )
        text_ids = None if self.text_ids is None else self._gather(self.text_ids[chosen])
        self.aligner.add_loss(everything, self._gather(self.labels[chosen]), text_ids)
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
        **{
            name: getattr(arguments, name)
            for name in (
                "projection_size",
                "hidden_size",
                "dropout",
                "emotion_weight",
                "contrastive_weight",
                "mi_weight",
                "mi_bound",
                "mask_same_label",
            )
        },
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        return MiseAligner(config)


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
    table = load_table(arguments.features, arguments.exclude_speakers)
    aligner = make_aligner(table, arguments)
    with open_run(arguments, table_digest(table)) as run:
        training = AlignerTraining(aligner, table, arguments, run.accelerator)
        run_training(training, arguments, run, "aligner")
        run.finish(training.aligner)


if __name__ == "__main__":
    main()
