"""Training of MiseAligner on pooled states: emotion, contrastive and mutual-information terms.

`accelerate launch -m mise_hf.training.aligner --config aligner.yaml`
"""

from collections.abc import Callable, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from mise_hf.features import FeatureTable
from mise_hf.models.configuration_mise import MiseAlignerConfig
from mise_hf.models.modeling_mise_aligner import MiseAligner, MiseAlignerOutput
from mise_hf.training.arguments import AlignerArguments, parse_arguments
from mise_hf.training.distributed import average_gradients, gather_with_gradient
from mise_hf.training.loop import make_accelerator, run_quietly, run_training
from mise_hf.training.rows import audio_states, load_table, text_states, training_corpora
from mise_hf.training.sampling import BalancedSampler, share, step_generator


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
        self.aligner = aligner.to(accelerator.device).train()
        self.modules = {"aligner": self.aligner}
        self.optimizers = {
            "aligner": torch.optim.AdamW(
                [parameter for parameter in aligner.parameters() if parameter.requires_grad],
                lr=arguments.learning_rate,
                weight_decay=arguments.weight_decay,
            )
        }

    def step(self, step: int) -> dict[str, float]:
        """One optimiser step on a class-balanced batch; the pairwise terms see the batch of all processes."""
        rng = step_generator(self.arguments.seed, step)
        chosen = self.sampler.draw(self.arguments.batch_size, rng)[1]
        chosen = share(chosen, self.accelerator.process_index, self.accelerator.num_processes)
        # Dropout draws from the global source: set here, so that a resumed run repeats it.
        torch.manual_seed(int(torch.randint(2**62, (1,), generator=rng)) + self.accelerator.process_index)
        device = self.accelerator.device
        text = None if self.text is None else self.text[chosen].to(device)
        with self.accelerator.autocast():
            out = self.aligner.embed(self.audio[chosen].to(device), text)
        everything = MiseAlignerOutput(
            **{name: gather_with_gradient(value.float(), self.accelerator) for name, value in out.items()}
        )
        text_ids = None if self.text_ids is None else self._gather(self.text_ids[chosen])
        self.aligner.add_loss(everything, self._gather(self.labels[chosen]), text_ids)
        optimizer = self.optimizers["aligner"]
        optimizer.zero_grad(set_to_none=True)
        everything.loss.backward()
        average_gradients(self.aligner.parameters(), self.accelerator)
        optimizer.step()
        names = ("loss", "emotion_loss", "contrastive_loss", "mi_bound")
        return {name: everything[name].item() for name in names if everything[name] is not None}

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
    accelerator = make_accelerator(arguments)
    training = AlignerTraining(make_aligner(table, arguments), table, arguments, accelerator)
    run_training(training, arguments, accelerator, "aligner")
    if accelerator.is_main_process:
        training.aligner.save_pretrained(arguments.output_dir)


if __name__ == "__main__":
    main()
