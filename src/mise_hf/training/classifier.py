"""Training of the SER head on real and synthetic features.

`accelerate launch -m mise_hf.training.classifier --config classifier.yaml`
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from mise_hf.features.fingerprint import AUDIO_PARTS, require_same
from mise_hf.features.missing_processes import start_missing_processes
from mise_hf.features.provenance import training_corpora
from mise_hf.models.configuration_mise import MiseSerConfig
from mise_hf.models.modeling_mise_aligner import MiseAligner
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.models.modeling_mise_ser import MiseForAudioClassification
from mise_hf.training.arguments import ClassifierArguments, parse_arguments
from mise_hf.training.distributed import reduce_metrics, share_weights
from mise_hf.training.loop import run_quietly, run_training
from mise_hf.training.parts import BatchParts, seed_dropout, set_dropout_seed, use_part_dropout
from mise_hf.training.rows import (
    TrainingRows,
    aligned_fingerprint,
    load_checkpoint,
    load_table,
    merged_corpora,
    require_unheard,
    rows_in_aligned_space,
    rows_in_encoder_space,
    rows_in_space_of,
    table_digest,
)
from mise_hf.training.run_folder import open_run
from mise_hf.training.sampling import BalancedSampler, step_generator
from mise_hf.training.updates import MeanMetrics, Updates


class ClassifierTraining:
    """State of a head's training; with a generator, `ratio` of each batch is synthetic, drawn anew every step."""

    def __init__(
        self,
        model: MiseForAudioClassification,
        rows: TrainingRows,
        arguments: ClassifierArguments,
        accelerator: Accelerator,
        generator: MiseGenerator | None = None,
    ):
        self.arguments, self.accelerator = arguments, accelerator
        self.inputs = inputs_of(rows, model.config.text_size)
        self.labels = rows.labels
        self.text = rows.text
        self.sampler = BalancedSampler(rows.labels, model.config.num_labels)
        model.feature_mean.copy_(self.inputs.mean(0))
        model.feature_scale.copy_(self.inputs.std(0).clamp_min(1e-6))
        self.generator = None if generator is None else generator.eval().requires_grad_(False)
        self.parts = BatchParts(arguments.batch_size, accelerator, arguments.micro_batches)
        self.model = model.to(accelerator.device).train()
        use_part_dropout(self.model, self.parts)
        # The space and any encoder inside are fitted already: only the head learns.
        head = [p for name, p in model.named_parameters() if name.startswith(("hidden.", "classifier."))]
        self.modules = {"model": self.model}
        share_weights(self.modules.values(), accelerator)
        self.updates = Updates(arguments, accelerator)
        self.optimizers = {
            "model": torch.optim.AdamW(head, lr=arguments.learning_rate, weight_decay=arguments.weight_decay)
        }
        self.head = head

    def step(self, step: int) -> dict[str, float]:
        """One optimiser step on a class-balanced batch of real and synthetic rows."""
        rng = step_generator(self.arguments.seed, step)
        labels, chosen = self.sampler.draw(self.arguments.batch_size, rng)
        inputs = self.inputs[chosen]
        if self.generator is not None:
            count = round(self.arguments.ratio * len(labels))
            inputs = torch.cat([self._synthetic(labels[:count], chosen[:count], rng), inputs[count:]])
        dropout_seed = seed_dropout(rng)
        device = self.accelerator.device
        metrics = MeanMetrics()

        def losses() -> Iterator[Tensor]:
            for part in self.parts:
                set_dropout_seed(dropout_seed, self.accelerator.device)
                with self.updates.autocast():
                    logits = self.model.classify(inputs[part].to(device))
                loss = torch.nn.functional.cross_entropy(logits.float(), labels[part].to(device))
                metrics.add("loss", loss)
                yield loss

        self.updates.take(self.optimizers["model"], self.head, losses())
        return reduce_metrics(metrics.means(), self.accelerator)

    def degenerate(self) -> str | None:
        """Nothing: what can go wrong here shows in the loss."""
        return None

    def _synthetic(self, labels: Tensor, chosen: Tensor, rng: torch.Generator) -> Tensor:
        assert self.generator is not None
        text = self.text[chosen] if self.generator.config.text_size and self.text is not None else None
        out = self.generator.generate(labels, text, generator=rng)
        if not self.model.config.text_size:
            return out.features
        paired = out.text_features if out.text_features is not None else self.text[chosen]
        return torch.cat([out.features, paired], dim=1)


def inputs_of(rows: TrainingRows, text_size: int) -> Tensor:
    """What the head takes: features, with the text features behind for an audio+text head."""
    return torch.cat([rows.features, rows.text], dim=1) if text_size else rows.features


def make_classifier(
    rows: TrainingRows,
    arguments: ClassifierArguments,
    *,
    label_names: Sequence[str],
    fingerprint: dict | None = None,
    aligner: MiseAligner | None = None,
    corpora: list[dict] | None = None,
) -> MiseForAudioClassification:
    """An untrained head with the feature space (or aligner) that the rows live in."""
    if (rows.space is None) != (aligner is not None):
        raise ValueError("rows and aligner disagree; wanted an aligner exactly for rows of the aligned space")
    config = MiseSerConfig(
        aligner_config=None if aligner is None else aligner.config,
        space="encoder" if aligner is None else "aligned",
        state_size=len(rows.space.mean) if rows.space is not None else aligner.config.audio_state_size,
        state_layers=rows.layers if rows.layers is not None else (0,),
        feature_size=rows.features.shape[1],
        text_size=rows.text.shape[1] if arguments.modality == "audio+text" else 0,
        head=arguments.head,
        hidden_size=arguments.hidden_size,
        dropout=arguments.dropout,
        id2label=dict(enumerate(label_names)),
        feature_fingerprint=fingerprint,
        training_corpora=corpora,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        model = MiseForAudioClassification(config)
    if rows.space is not None:
        model.space.load_state_dict(rows.space.state_dict())
    if aligner is not None:
        model.aligner.load_state_dict(aligner.state_dict())
        model.aligner.requires_grad_(False)
    return model


def train_classifier(
    rows: TrainingRows,
    arguments: ClassifierArguments,
    *,
    label_names: Sequence[str],
    fingerprint: dict | None = None,
    aligner: MiseAligner | None = None,
    generator: MiseGenerator | None = None,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> MiseForAudioClassification:
    """Train in memory, in this process."""
    model = make_classifier(rows, arguments, label_names=label_names, fingerprint=fingerprint, aligner=aligner)
    training = ClassifierTraining(model, rows, arguments, Accelerator(cpu=True), generator)
    with torch.random.fork_rng(devices=[]):
        run_quietly(training, arguments.steps, on_step)
    return training.model.eval()


def main(argv: Sequence[str] | None = None) -> None:
    """Train on a feature folder and leave a checkpoint in the run folder."""
    arguments = parse_arguments(ClassifierArguments, argv)
    table = load_table(arguments.features, arguments.exclude_speakers)
    generator = load_checkpoint(MiseGenerator, arguments.generator) if arguments.generator else None
    aligner = load_checkpoint(MiseAligner, arguments.aligner) if arguments.aligner else None
    require_unheard(arguments.exclude_speakers, table.corpus, generator, aligner)
    text = arguments.modality == "audio+text" or (generator is not None and generator.config.text_size > 0)
    if generator is not None:
        require_same(
            table.fingerprint,
            generator.config.feature_fingerprint or {},
            AUDIO_PARTS,
            our_name="the features",
            their_name="the generator",
        )
        if (generator.config.space == "aligned") != (aligner is not None):
            raise ValueError(
                f"the generator lives in the {generator.config.space} space; wanted an aligner exactly then"
            )
        theirs = (generator.config.feature_fingerprint or {}).get("aligner")
        ours = aligned_fingerprint(table.fingerprint, aligner).get("aligner")
        if ours != theirs:
            raise ValueError(f"the aligner has the weights {ours}; wanted {theirs}, in whose space the generator lives")
    if aligner is not None:
        rows = rows_in_aligned_space(table, aligner, text)
    elif generator is not None:
        rows = rows_in_space_of(table, generator, text)
    else:
        rows = rows_in_encoder_space(table, arguments.layers, arguments.feature_size, text)
    model = make_classifier(
        rows,
        arguments,
        label_names=table.label_names,
        fingerprint=aligned_fingerprint(table.fingerprint, aligner),
        aligner=aligner,
        corpora=merged_corpora(training_corpora(table, arguments.licence), aligner, generator),
    )
    with open_run(arguments, table_digest(table, aligner, generator)) as run:
        training = ClassifierTraining(model, rows, arguments, run.accelerator, generator)
        run_training(training, arguments, run, "classifier")
        run.finish(training.model)


if __name__ == "__main__":
    start_missing_processes("mise_hf.training.classifier")
    main()
