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

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mise_hf.models.configuration_mise import MiseGeneratorConfig
from mise_hf.models.modeling_mise_aligner import MiseAligner
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.objectives.adversarial import critic_loss, generator_loss, gradient_penalty
from mise_hf.objectives.information import contrastive_information, variational_information
from mise_hf.training.arguments import GeneratorArguments, parse_arguments
from mise_hf.training.critics import PairCritic, ProjectionCritic, VariationalCritic
from mise_hf.training.distributed import average_gradients, gather_with_gradient
from mise_hf.training.loop import make_accelerator, run_quietly, run_training
from mise_hf.training.rows import (
    TrainingRows,
    aligned_fingerprint,
    load_checkpoint,
    load_table,
    merged_corpora,
    rows_in_aligned_space,
    rows_in_encoder_space,
    training_corpora,
)
from mise_hf.training.sampling import BalancedSampler, share, step_generator

# Adam's first moment off: a GAN's gradients turn round too quickly for momentum.
BETAS = (0.0, 0.99)


class GeneratorTraining:
    """State of a generator's training; `averaged` is the generator to keep."""

    def __init__(
        self, generator: MiseGenerator, rows: TrainingRows, arguments: GeneratorArguments, accelerator: Accelerator
    ):
        config = generator.config
        self.arguments, self.accelerator = arguments, accelerator
        device = accelerator.device
        self.target = rows.features
        if config.paired_text_size:
            self.target = torch.cat([rows.features, rows.text], dim=1)
        self.text = rows.text if config.text_size else None
        self.sampler = BalancedSampler(rows.labels, config.num_labels)
        generator.start_from(self.target, rows.labels)
        size = self.target.shape[1]
        # One number for all dimensions: principal components keep their proportions, critics see values around one.
        self.unit = self.target.std().to(device)
        self.noise_scale = (self.target.std(0) * arguments.instance_noise).to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(arguments.seed)
            self.critic = ProjectionCritic(size, config.num_labels, config.text_size, arguments.hidden_size)
            kind = VariationalCritic if arguments.mi_estimator == "variational" else PairCritic
            shape = (size, config.num_labels, config.text_size, arguments.hidden_size)
            self.synthetic_information = kind(*shape).to(device)
            self.real_information = kind(*shape).to(device) if arguments.mi_reference == "real" else None
        self.generator = generator.to(device).train()
        self.averaged = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.critic.to(device)
        rate = arguments.learning_rate
        self.modules = {"generator": self.generator, "averaged": self.averaged, "critic": self.critic}
        self.optimizers = {
            "generator": torch.optim.Adam(self.generator.parameters(), lr=rate, betas=BETAS),
            "critic": torch.optim.Adam(self.critic.parameters(), lr=rate, betas=BETAS),
        }
        for name in ("synthetic_information", "real_information") if arguments.mi_weight else ():
            if getattr(self, name) is not None:
                self.modules[name] = getattr(self, name)
                # A plain classifier, and a quick one: it must keep up with what it judges.
                self.optimizers[name] = torch.optim.Adam(self.modules[name].parameters(), lr=5 * rate)
        self.prior = torch.full((config.num_labels,), 1 / config.num_labels, device=device)

    def step(self, step: int) -> dict[str, float]:
        """One step of the critic and one of the generator with the information critic."""
        rng = step_generator(self.arguments.seed, step)
        critic_metrics = self._critic_step(rng, penalise=step % self.arguments.penalty_every == 0)
        generator_metrics = self._generator_step(rng)
        # A young average forgets its start sooner, or a short run would keep the weights it began with.
        decay = min(self.arguments.ema_decay, (step + 1) / (step + 10))
        with torch.no_grad():
            for kept, new in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
        return critic_metrics | generator_metrics

    def _batch(self, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor, Tensor]:
        """Real rows, labels, text, noise z and two instance noises: drawn for all processes, cut to this one's part."""
        size = self.arguments.batch_size
        labels, chosen = self.sampler.draw(size, rng)
        noise = torch.randn(size, self.generator.config.noise_size, generator=rng)
        blur = torch.randn(2, size, self.target.shape[1], generator=rng)
        text = None
        if self.text is not None:
            dropped = torch.rand(size, generator=rng) < self.arguments.text_dropout
            text = self.text[chosen].masked_fill(dropped[:, None], torch.nan)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes

        def part(rows: Tensor) -> Tensor:
            return share(rows, rank, world).to(self.accelerator.device)

        return (
            part(self.target[chosen]),
            part(labels),
            None if text is None else part(text),
            part(noise),
            part(blur[0]) * self.noise_scale,
            part(blur[1]) * self.noise_scale,
        )

    def _make(self, noise: Tensor, labels: Tensor, text: Tensor | None) -> Tensor:
        out = self.generator(noise, labels, text)
        return out.features if out.text_features is None else torch.cat([out.features, out.text_features], dim=1)

    def _seen_text(self, text: Tensor | None) -> Tensor | None:
        """The text that critics see: that of the generator, the null text for dropped rows."""
        return None if text is None else self.generator.fill_text(text).detach()

    def _critic_step(self, rng: torch.Generator, penalise: bool) -> dict[str, float]:
        real, labels, text, noise, real_blur, made_blur = self._batch(rng)
        with torch.no_grad():
            made = self._make(noise, labels, text)
        seen = self._seen_text(text)
        real = ((real + real_blur) / self.unit).requires_grad_(penalise)
        made = ((made + made_blur) / self.unit).requires_grad_(penalise)
        with self.accelerator.autocast():
            real_scores, made_scores = self.critic(real, labels, seen), self.critic(made, labels, seen)
            loss = critic_loss(real_scores.float(), made_scores.float())
        metrics = {"critic_loss": loss.item()}
        if penalise:
            penalty = gradient_penalty(real_scores, real) + gradient_penalty(made_scores, made)
            # Applied every k-th step, so k times as strong.
            loss = loss + self.arguments.penalty_weight / 2 * self.arguments.penalty_every * penalty / self.unit**2
            metrics["gradient_penalty"] = penalty.item()
        self._update(loss, "critic")
        if self.arguments.mi_weight:
            metrics |= self._information_step(real.detach(), made.detach(), labels, seen)
        return metrics

    def _generator_step(self, rng: torch.Generator) -> dict[str, float]:
        real, labels, text, noise, real_blur, made_blur = self._batch(rng)
        seen = self._seen_text(text)
        with self.accelerator.autocast():
            made = self._make(noise, labels, text)
            with torch.no_grad():
                real_scores = self.critic((real + real_blur) / self.unit, labels, seen)
            made_scores = self.critic((made + made_blur) / self.unit, labels, seen)
            loss = generator_loss(real_scores.float(), made_scores.float())
        metrics = {"generator_loss": loss.item()}
        if self.arguments.mi_weight:
            seen_rows = (made + made_blur) / self.unit
            own = self._information_bound(self.synthetic_information, seen_rows, labels, seen)
            kept = own
            if self.real_information is not None:
                kept = self._information_bound(self.real_information, seen_rows, labels, seen) - own
            loss = loss - self.arguments.mi_weight * kept
            metrics["mi_bound"] = own.item()
        self._update(loss, "generator")
        return metrics

    def _information_step(self, real: Tensor, made: Tensor, labels: Tensor, text: Tensor | None) -> dict[str, float]:
        """Fit the information critics: one on synthetic rows, its twin on real ones."""
        bound = self._information_bound(self.synthetic_information, made, labels, text)
        self._update(-bound, "synthetic_information")
        if self.real_information is None:
            return {}
        bound = self._information_bound(self.real_information, real, labels, text)
        self._update(-bound, "real_information")
        return {"mi_bound_real": bound.item()}

    def _information_bound(self, critic: nn.Module, rows: Tensor, labels: Tensor, text: Tensor | None) -> Tensor:
        """The bound on I((c, t); rows) over the whole batch of all processes."""
        if isinstance(critic, VariationalCritic):
            logits, mean = critic(rows)
            return variational_information(logits, labels, self.prior, mean, critic.text_log_variance, text)
        rows, labels = gather_with_gradient(rows, self.accelerator), self.accelerator.gather(labels)
        if text is not None:
            text = self.accelerator.gather(text)
        return contrastive_information(critic(rows, labels, text), self.arguments.mi_estimator)

    def _update(self, loss: Tensor, *names: str) -> None:
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for name in names:
            average_gradients(self.modules[name].parameters(), self.accelerator)
            self.optimizers[name].step()


def make_generator(
    rows: TrainingRows,
    arguments: GeneratorArguments,
    *,
    label_names: Sequence[str],
    fingerprint: dict | None = None,
    corpora: list[dict] | None = None,
) -> MiseGenerator:
    """An untrained generator that fits the rows; its encoder space goes along."""
    text_size = rows.text.shape[1] if rows.text is not None else 0
    feature_size = rows.features.shape[1]
    paired = text_size if arguments.paired else 0
    config = MiseGeneratorConfig(
        feature_size=feature_size,
        noise_size=feature_size + paired,
        text_size=text_size if arguments.text else 0,
        paired_text_size=paired,
        hidden_size=arguments.hidden_size,
        space="encoder" if rows.space is not None else "aligned",
        state_size=0 if rows.space is None else len(rows.space.mean),
        state_layer=rows.layer,
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
    table = load_table(arguments.features, arguments.exclude_speakers)
    wants_text = arguments.text or arguments.paired
    aligner = load_checkpoint(MiseAligner, arguments.aligner) if arguments.aligner else None
    if aligner is not None:
        rows = rows_in_aligned_space(table, aligner, wants_text)
    else:
        rows = rows_in_encoder_space(table, arguments.layer, arguments.feature_size, wants_text)
    accelerator = make_accelerator(arguments)
    generator = make_generator(
        rows,
        arguments,
        label_names=table.label_names,
        fingerprint=aligned_fingerprint(table.fingerprint, aligner),
        corpora=merged_corpora(training_corpora(table, arguments.licence), aligner),
    )
    training = GeneratorTraining(generator, rows, arguments, accelerator)
    run_training(training, arguments, accelerator, "generator")
    if accelerator.is_main_process:
        training.averaged.save_pretrained(arguments.output_dir)


if __name__ == "__main__":
    main()
