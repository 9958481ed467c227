"""Training of MiseGenerator: a relativistic GAN with gradient penalties and the mutual-information regulariser.

The regulariser has two forms. `mi_reference="synthetic"` is InfoGAN's: a critic q fitted on synthetic rows, and the
generator maximises its bound on I((c, t); h_hat). Alone it is content with any mark by which to tell the classes apart,
and it pushes them further apart than people do. `mi_reference="real"` (the default) maximises the bound of a critic
fitted on real rows less that of its twin fitted on synthetic ones (Gong et al., 2019, "Twin Auxiliary Classifiers
GAN"): high where synthetic rows carry the emotion in the way real rows do, and no higher than they carry it.

`accelerate launch -m mise_hf.training.generator --config generator.yaml`
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mise_hf.features.missing_processes import start_missing_processes
from mise_hf.features.provenance import training_corpora
from mise_hf.models.configuration_mise import MiseGeneratorConfig
from mise_hf.models.modeling_mise_aligner import MiseAligner
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.objectives.adversarial import critic_loss, generator_loss, gradient_penalty
from mise_hf.objectives.information import contrastive_information, variational_information
from mise_hf.training.arguments import GeneratorArguments, parse_arguments
from mise_hf.training.critics import PairCritic, ProjectionCritic, VariationalCritic
from mise_hf.training.distributed import gather_with_gradient, reduce_metrics, share_weights
from mise_hf.training.loop import run_quietly, run_training
from mise_hf.training.parts import BatchParts
from mise_hf.training.probe import Probe
from mise_hf.training.rows import (
    TrainingRows,
    aligned_fingerprint,
    load_checkpoint,
    load_table,
    merged_corpora,
    require_unheard,
    rows_in_aligned_space,
    rows_in_encoder_space,
    table_digest,
)
from mise_hf.training.run_folder import open_run
from mise_hf.training.sampling import step_generator
from mise_hf.training.sources import Source, TableSource
from mise_hf.training.stream_index import read_index, stream_corpora
from mise_hf.training.stream_rows import StreamedRows, StreamSource
from mise_hf.training.updates import MeanMetrics, Updates, trainable

# Adam's first moment off: a GAN's gradients turn round too quickly for momentum.
BETAS = (0.0, 0.99)


class _Batch(NamedTuple):
    """One micro-batch: real rows (rows, dim), labels (rows,), text (rows, text size), noise z, two instance noises."""

    real: Tensor
    labels: Tensor
    text: Tensor | None
    noise: Tensor
    real_blur: Tensor
    made_blur: Tensor


class _Seen(NamedTuple):
    """What the critics see of a micro-batch: real and made rows with instance noise, in units of the target."""

    real: Tensor
    made: Tensor
    labels: Tensor
    text: Tensor | None


class GeneratorTraining:
    """State of a generator's training; `averaged` is the generator to keep."""

    def __init__(
        self,
        generator: MiseGenerator,
        rows: TrainingRows | StreamedRows,
        arguments: GeneratorArguments,
        accelerator: Accelerator,
    ):
        config = generator.config
        self.arguments, self.accelerator = arguments, accelerator
        device = accelerator.device
        self.source = _source(rows, arguments, config)
        self.source.start(generator)
        size = len(self.source.scale)
        # One number for all dimensions: principal components keep their proportions, critics see values around one.
        self.unit = self.source.unit.to(device)
        self.noise_scale = (self.source.scale * arguments.instance_noise).to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(arguments.seed)
            self.critic = ProjectionCritic(size, config.num_labels, config.text_size, arguments.hidden_size)
            kind = VariationalCritic if arguments.mi_estimator == "variational" else PairCritic
            shape = (size, config.num_labels, config.text_size, arguments.hidden_size)
            self.synthetic_information = kind(*shape).to(device)
            self.real_information = kind(*shape).to(device) if arguments.mi_reference == "real" else None
        self.parts = BatchParts(arguments.batch_size, accelerator, arguments.micro_batches)
        self.generator = generator.to(device).train()
        self.critic.to(device)
        self.modules = {"generator": self.generator, "critic": self.critic}
        informed = [self.synthetic_information, self.real_information] if arguments.mi_weight else []
        for name, critic in zip(("synthetic_information", "real_information"), informed, strict=False):
            if critic is not None:
                self.modules[name] = critic
        share_weights(self.modules.values(), accelerator)
        self.averaged = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.modules["averaged"] = self.averaged
        self.updates = Updates(arguments, accelerator)
        rate = arguments.learning_rate
        self.parameters = {
            "generator": trainable(self.generator),
            "critic": trainable(self.critic),
        }
        self.optimizers = {
            name: torch.optim.Adam(parameters, lr=rate, betas=BETAS, fused=True)
            for name, parameters in self.parameters.items()
        }
        if arguments.mi_weight:
            self.parameters["information"] = trainable(*(critic for critic in informed if critic is not None))
            # A plain classifier, and a quick one: it must keep up with what it judges.
            self.optimizers["information"] = torch.optim.Adam(self.parameters["information"], lr=5 * rate, fused=True)
        self.prior = self.source.prior.to(device)
        self.probe = Probe(self.source.probe.target, self.source.probe.labels, config.noise_size, device)

    def step(self, step: int) -> dict[str, float]:
        """One step of the critic, then of the information critics on the same rows, then of the generator."""
        rng = step_generator(self.arguments.seed, step)
        metrics = MeanMetrics()
        self._critic_steps(
            self._batches(2 * step, rng), penalise=step % self.arguments.penalty_every == 0, metrics=metrics
        )
        self.updates.take(
            self.optimizers["generator"],
            self.parameters["generator"],
            (self._generator_loss(batch, metrics) for batch in self._batches(2 * step + 1, rng)),
        )
        # A young average forgets its start sooner, or a short run would keep the weights it began with.
        decay = min(self.arguments.ema_decay, (step + 1) / (step + 10))
        with torch.no_grad():
            for kept, new in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
        return reduce_metrics(metrics.means(), self.accelerator)

    def degenerate(self) -> str | None:
        """Whether the generator has collapsed or the critic is saturated, on probe rows."""

        def score(rows: Tensor, labels: Tensor) -> Tensor:
            return self.critic(rows / self.unit, labels)

        return self.probe.cause(self._make, score)

    def _batches(self, number: int, rng: torch.Generator) -> list[_Batch]:
        """This process's micro-batches of batch `number`, which all processes draw alike."""
        size, device = self.arguments.batch_size, self.accelerator.device
        rows_of = self.source.batch(number, rng)
        noise = torch.randn(size, self.generator.config.noise_size, generator=rng)
        blur = torch.randn(2, size, len(self.source.scale), generator=rng)
        with_text = bool(self.generator.config.text_size)
        dropped = torch.rand(size, generator=rng) < self.arguments.text_dropout if with_text else None
        batches = []
        for part in self.parts:
            real = rows_of(part)
            text = None
            if with_text:
                text = real.text.masked_fill(dropped[part, None], torch.nan).to(device)
            batches.append(
                _Batch(
                    real.target.to(device),
                    real.labels.to(device),
                    text,
                    noise[part].to(device),
                    blur[0, part].to(device) * self.noise_scale,
                    blur[1, part].to(device) * self.noise_scale,
                )
            )
        return batches

    def _make(self, noise: Tensor, labels: Tensor, text: Tensor | None = None) -> Tensor:
        out = self.generator(noise, labels, text)
        return out.features if out.text_features is None else torch.cat([out.features, out.text_features], dim=1)

    def _seen_text(self, text: Tensor | None) -> Tensor | None:
        """The text that critics see: that of the generator, the null text for dropped rows."""
        return None if text is None else self.generator.fill_text(text).detach()

    def _critic_steps(self, batches: list[_Batch], penalise: bool, metrics: MeanMetrics) -> None:
        seen = []
        for batch in batches:
            with torch.no_grad():
                made = self._make(batch.noise, batch.labels, batch.text)
            text = self._seen_text(batch.text)
            seen.append(
                _Seen(
                    ((batch.real + batch.real_blur) / self.unit).requires_grad_(penalise),
                    ((made + batch.made_blur) / self.unit).requires_grad_(penalise),
                    batch.labels,
                    text,
                )
            )
        self.updates.take(
            self.optimizers["critic"],
            self.parameters["critic"],
            (self._critic_loss(rows, penalise, metrics) for rows in seen),
        )
        if self.arguments.mi_weight:
            self.updates.take(
                self.optimizers["information"],
                self.parameters["information"],
                (self._information_loss(rows, metrics) for rows in seen),
            )

    def _critic_loss(self, rows: _Seen, penalise: bool, metrics: MeanMetrics) -> Tensor:
        with self.updates.autocast():
            real_scores = self.critic(rows.real, rows.labels, rows.text)
            made_scores = self.critic(rows.made, rows.labels, rows.text)
        loss = critic_loss(real_scores.float(), made_scores.float())
        metrics.add("critic_loss", loss)
        if penalise:
            penalty = gradient_penalty(real_scores, rows.real) + gradient_penalty(made_scores, rows.made)
            metrics.add("gradient_penalty", penalty)
            # Applied every k-th step, so k times as strong.
            loss = loss + self.arguments.penalty_weight / 2 * self.arguments.penalty_every * penalty / self.unit**2
        return loss

    def _generator_loss(self, batch: _Batch, metrics: MeanMetrics) -> Tensor:
        text = self._seen_text(batch.text)
        with self.updates.autocast():
            made = self._make(batch.noise, batch.labels, batch.text)
            with torch.no_grad():
                real_scores = self.critic((batch.real + batch.real_blur) / self.unit, batch.labels, text)
            seen_rows = (made + batch.made_blur) / self.unit
            made_scores = self.critic(seen_rows, batch.labels, text)
        loss = generator_loss(real_scores.float(), made_scores.float())
        metrics.add("generator_loss", loss)
        if self.arguments.mi_weight:
            kept = own = self._information_bound(self.synthetic_information, seen_rows, batch.labels, text)
            if self.real_information is not None:
                kept = self._information_bound(self.real_information, seen_rows, batch.labels, text) - own
            loss = loss - self.arguments.mi_weight * kept
            metrics.add("mi_bound", own)
        return loss

    def _information_loss(self, rows: _Seen, metrics: MeanMetrics) -> Tensor:
        """To fit the information critics: one on synthetic rows, its twin on real ones."""
        made, real = rows.made.detach(), rows.real.detach()
        loss = -self._information_bound(self.synthetic_information, made, rows.labels, rows.text)
        if self.real_information is not None:
            bound = self._information_bound(self.real_information, real, rows.labels, rows.text)
            metrics.add("mi_bound_real", bound)
            loss = loss - bound
        return loss

    def _information_bound(self, critic: nn.Module, rows: Tensor, labels: Tensor, text: Tensor | None) -> Tensor:
        """The bound on I((c, t); rows); with pairs, over the rows of all processes."""
        if isinstance(critic, VariationalCritic):
            with self.updates.autocast():
                logits, mean = critic(rows)
            mean = None if mean is None else mean.float()
            return variational_information(logits.float(), labels, self.prior, mean, critic.text_log_variance, text)
        rows, labels = gather_with_gradient(rows, self.accelerator), self.accelerator.gather(labels)
        if text is not None:
            text = self.accelerator.gather(text)
        with self.updates.autocast():
            scores = critic(rows, labels, text)
        return contrastive_information(scores.float(), self.arguments.mi_estimator)


def _source(rows: TrainingRows | StreamedRows, arguments: GeneratorArguments, config: Any) -> Source:
    options = {"paired": bool(config.paired_text_size), "text": bool(config.text_size)}
    if isinstance(rows, StreamedRows):
        return StreamSource(rows, **options)
    return TableSource(rows, batch_size=arguments.batch_size, num_labels=config.num_labels, **options)


def make_generator(
    rows: TrainingRows | StreamedRows,
    arguments: GeneratorArguments,
    *,
    label_names: Sequence[str],
    fingerprint: dict | None = None,
    corpora: list[dict] | None = None,
) -> MiseGenerator:
    """An untrained generator that fits the rows; its encoder space goes along."""
    text_size, feature_size = rows.text_size, rows.feature_size
    paired = text_size if arguments.paired else 0
    config = MiseGeneratorConfig(
        feature_size=feature_size,
        noise_size=feature_size + paired + arguments.speaker_noise_size,
        speaker_noise_size=arguments.speaker_noise_size,
        text_size=text_size if arguments.text else 0,
        paired_text_size=paired,
        hidden_size=arguments.hidden_size,
        space="encoder" if rows.space is not None else "aligned",
        state_size=0 if rows.space is None else len(rows.space.mean),
        state_layers=rows.layers,
        id2label=dict(enumerate(label_names)),
        feature_fingerprint=fingerprint,
        training_corpora=corpora,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arguments.seed)
        generator = MiseGenerator(config)
    if rows.space is not None:
        generator.space.load_state_dict(rows.space.state_dict())
    return generator


def train_generator(
    rows: TrainingRows,
    arguments: GeneratorArguments,
    *,
    label_names: Sequence[str],
    fingerprint: dict | None = None,
    corpora: list[dict] | None = None,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
) -> MiseGenerator:
    """Train in memory, in this process; returns the averaged generator."""
    generator = make_generator(rows, arguments, label_names=label_names, fingerprint=fingerprint, corpora=corpora)
    training = GeneratorTraining(generator, rows, arguments, Accelerator(cpu=True))
    run_quietly(training, arguments.steps, on_step)
    return training.averaged


def main(argv: Sequence[str] | None = None) -> None:
    """Train on a feature folder and leave a checkpoint in the run folder."""
    arguments = parse_arguments(GeneratorArguments, argv)
    aligner = load_checkpoint(MiseAligner, arguments.aligner) if arguments.aligner else None
    rows: TrainingRows | StreamedRows
    if arguments.stream:
        index = read_index(arguments.features, arguments.exclude_speakers)
        data, names, fingerprint = index.digest, index.label_names, index.fingerprint
        corpora, corpus = stream_corpora(index, arguments.licence), index.corpus
    else:
        table = load_table(arguments.features, arguments.exclude_speakers)
        data, names, fingerprint = table_digest(table, aligner), table.label_names, table.fingerprint
        corpora, corpus = training_corpora(table, arguments.licence), table.corpus
    require_unheard(arguments.exclude_speakers, corpus, aligner)
    with open_run(arguments, data) as run:
        if arguments.stream:
            rows = StreamedRows(index, arguments, run.accelerator, aligner)
        elif aligner is not None:
            rows = rows_in_aligned_space(table, aligner, arguments.text or arguments.paired)
        else:
            wants_text = arguments.text or arguments.paired
            rows = rows_in_encoder_space(table, arguments.layers, arguments.feature_size, wants_text)
        generator = make_generator(
            rows,
            arguments,
            label_names=names,
            fingerprint=aligned_fingerprint(fingerprint, aligner),
            corpora=merged_corpora(corpora, aligner),
        )
        training = GeneratorTraining(generator, rows, arguments, run.accelerator)
        run_training(training, arguments, run, "generator")
        run.finish(training.averaged)


if __name__ == "__main__":
    start_missing_processes("mise_hf.training.generator")
    main()
