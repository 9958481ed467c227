"""MiseGenerator: utterance-level features h_hat = G(z, c, t) from noise, emotion and (with or without) text.

Travels to the Hub: imports torch, transformers and siblings of this folder, never `mise_hf`. Holds no critic: those
serve training only and stay unpublished.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init
from transformers.utils import ModelOutput

from .checkpoint_mise import MisePreTrainedModel
from .configuration_mise import MiseGeneratorConfig
from .space_mise import MiseFeatureSpace

# Rows of one draw of noise in `generate`. Fixed, because how the noise is cut into draws decides its values.
ROWS_AT_ONCE = 4096
# Rows that go through the layers together on a CPU: what lies between two layers stays in its cache.
ROWS_IN_CACHE = 1024


@dataclass
class MiseGeneratorOutput(ModelOutput):
    """What a generator makes.

    Attributes:
        features: h_hat, float32 (batch, feature size).
        text_features: t_hat, float32 (batch, paired text size); None for a generator of audio features alone.
    """

    features: Tensor | None = None
    text_features: Tensor | None = None


class _Tables(NamedTuple):
    """Of `generate`, whose labels are looked up: all that follows from a label alone is computed once.

    Attributes:
        labels: the labels' part of the input layer, its bias included, (labels, hidden).
        weight: of the input layer for noise and text, (hidden, noise + text).
        means: class means with the output's bias, (labels, output).
    """

    labels: Tensor
    weight: Tensor
    means: Tensor


class _ResidualLayer(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.linear = nn.Linear(size, size)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.linear(F.silu(hidden))


class MiseGenerator(MisePreTrainedModel):
    """Conditional generator of utterance-level features.

    h_hat = mean_c + A z + f(z, c, t): a class mean, a linear map of the noise that all classes share, and a residual
    network. `start_from` sets the first two to the training rows' class means and shared covariance, so that
    adversarial training begins at the class-conditional Gaussian, the strongest plain generator, not at noise.
    """

    config_class = MiseGeneratorConfig
    base_model_prefix = "generator"
    main_input_name = "noise"
    _no_split_modules = ["_ResidualLayer"]

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, config: MiseGeneratorConfig):
        super().__init__(config)
        output_size = config.feature_size + config.paired_text_size
        self.class_means = nn.Embedding(config.num_labels, output_size)
        self.noise_factor = nn.Linear(config.noise_size, output_size, bias=False)
        self.label_embedding = nn.Embedding(config.num_labels, config.label_embedding_size)
        width = config.noise_size + config.label_embedding_size + config.text_size
        self.input = nn.Linear(width, config.hidden_size)
        self.layers = nn.ModuleList(_ResidualLayer(config.hidden_size) for _ in range(config.num_hidden_layers))
        self.output = nn.Linear(config.hidden_size, output_size)
        # Stands for "no text": rows without a transcript, and a user who has none.
        self.null_text = nn.Parameter(torch.zeros(config.text_size)) if config.text_size else None
        # Mean and scale of the training features, in either space: what a user's own features should look like.
        self.register_buffer("feature_mean", torch.zeros(output_size))
        self.register_buffer("feature_scale", torch.ones(output_size))
        self.space = MiseFeatureSpace(config.state_size, config.feature_size) if config.state_size else None
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            init.kaiming_normal_(module.weight, nonlinearity="linear")
            if module.bias is not None:
                init.zeros_(module.bias)
            if module is self.output:
                init.zeros_(module.weight)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight)
        elif isinstance(module, MiseFeatureSpace):
            module.initialise()
        elif isinstance(module, MiseGenerator):
            init.zeros_(module.feature_mean)
            init.ones_(module.feature_scale)
            if module.null_text is not None:
                init.zeros_(module.null_text)

    def forward(self, noise: Tensor, labels: Tensor, text_embeds: Tensor | None = None) -> MiseGeneratorOutput:
        """Generate features for given noise.

        Args:
            noise: z, (batch, noise size), standard normal.
            labels: emotion ids c, int64 (batch,).
            text_embeds: t, (batch, text size); None generates without text.

        Returns:
            `MiseGeneratorOutput` with features (batch, feature size) and, for a paired generator, text features
            (batch, paired text size).

        Raises:
            ValueError: for shapes that do not fit, or text given to a generator without text.
        """
        if noise.dim() != 2 or noise.shape[1] != self.config.noise_size or labels.shape != noise.shape[:1]:
            raise ValueError(
                f"noise has shape {tuple(noise.shape)} and labels {tuple(labels.shape)}; wanted "
                f"(batch, {self.config.noise_size}) and (batch,)"
            )
        parts = [noise, self.label_embedding(labels)]
        if self.null_text is not None:
            if text_embeds is None:
                text_embeds = torch.full((noise.shape[0], self.config.text_size), torch.nan, device=noise.device)
            elif text_embeds.shape != (noise.shape[0], self.config.text_size):
                raise ValueError(
                    f"text_embeds have shape {tuple(text_embeds.shape)}; wanted "
                    f"({noise.shape[0]}, {self.config.text_size})"
                )
            parts.append(self.fill_text(text_embeds))
        elif text_embeds is not None:
            raise ValueError("text_embeds given; wanted None: this generator was made without text (text_size is 0)")
        hidden = self.input(torch.cat(parts, dim=1))
        for layer in self.layers:
            hidden = layer(hidden)
        made = self.class_means(labels) + self.noise_factor(noise) + self.output(F.silu(hidden))
        if not self.config.paired_text_size:
            return MiseGeneratorOutput(features=made)
        features, text = made.split([self.config.feature_size, self.config.paired_text_size], dim=1)
        return MiseGeneratorOutput(features=features, text_features=text)

    def fill_text(self, text_embeds: Tensor) -> Tensor:
        """Text embeddings (batch, text size) with the learned null text in place of rows of NaN, which mark no text."""
        return torch.where(text_embeds.isnan().any(dim=1, keepdim=True), self.null_text, text_embeds)

    @torch.no_grad()
    def generate(
        self,
        labels: Sequence[str] | Sequence[int] | Tensor,
        text_embeds: Tensor | None = None,
        num_samples: int | None = None,
        *,
        speakers: Sequence[int] | Tensor | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> MiseGeneratorOutput:
        """Draw one feature, or `num_samples` in a row, for each label.

        Args:
            labels: emotion names or ids, (rows,).
            text_embeds: t, (rows, text size), or None.
            num_samples: features for each label (and text); one where not given.
            speakers: a number for each label, (rows,): rows with the same number and emotion are of one synthetic
                speaker and share the speaker's part of the noise. None gives every row a speaker of its own.
            generator: source of the noise: the same state gives the same features.
            noise: z in place of a `generator`, (rows, noise size): the same z with other labels, say.

        Returns:
            `MiseGeneratorOutput` of float32 tensors with one row for each label, on the model's device.

        Raises:
            ValueError: for a label that the checkpoint does not know, speakers for a generator without their noise, or
                not just one of generator and noise.
        """
        ids = self.label_ids(labels)
        if (generator is None) == (noise is None):
            raise ValueError("generate has both a generator and noise, or neither; wanted one of them")
        if noise is not None and (num_samples is not None or speakers is not None):
            raise ValueError("num_samples or speakers are given with noise; wanted them with a generator only")
        if noise is not None and noise.shape != (len(ids), self.config.noise_size):
            raise ValueError(f"noise has shape {tuple(noise.shape)}; wanted ({len(ids)}, {self.config.noise_size})")
        voice = None if speakers is None else self._voice_of(torch.as_tensor(speakers), ids)
        if num_samples is not None:
            if num_samples < 1:
                raise ValueError(f"num_samples is {num_samples}; wanted 1 or more")
            ids = ids.repeat_interleave(num_samples)
            text_embeds = None if text_embeds is None else text_embeds.repeat_interleave(num_samples, dim=0)
            voice = None if voice is None else voice.repeat_interleave(num_samples)
        if text_embeds is not None and not self.config.text_size:
            raise ValueError("text_embeds given; wanted None: this generator was made without text (text_size is 0)")
        device = self.class_means.weight.device
        made = torch.empty(len(ids), self.output.out_features, device=device, dtype=self.dtype)
        tables = self._tables()
        if voice is not None:
            shape = (int(voice.max()) + 1 if len(voice) else 0, self.config.speaker_noise_size)
            voices = torch.randn(shape, generator=generator, device=generator.device)
        if generator is not None:
            drawn = torch.empty(min(len(ids), ROWS_AT_ONCE), self.config.noise_size, device=generator.device)
        for start in range(0, len(ids), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            part = ids[rows].to(device)
            z = drawn[: len(part)].normal_(generator=generator) if noise is None else noise[rows]
            if voice is not None:
                z[:, : self.config.speaker_noise_size] = voices[voice[rows].to(voices.device)]
            text = None if text_embeds is None else text_embeds[rows].to(device)
            self._make(z.to(device, self.dtype), part, text, tables, made[rows])
        features, text_features = made.float().split([self.config.feature_size, self.config.paired_text_size], dim=1)
        paired = self.config.paired_text_size and len(ids)
        return MiseGeneratorOutput(features=features, text_features=text_features if paired else None)

    def _tables(self) -> _Tables:
        noise, label = self.config.noise_size, self.config.label_embedding_size
        weight = self.input.weight
        return _Tables(
            F.linear(self.label_embedding.weight, weight[:, noise : noise + label], self.input.bias),
            torch.cat([weight[:, :noise], weight[:, noise + label :]], dim=1),
            self.class_means.weight + self.output.bias,
        )

    def _make(self, noise: Tensor, labels: Tensor, text: Tensor | None, tables: _Tables, out: Tensor) -> None:
        """`forward` into `out`, with no other order than that of its sums: in place, the labels' part looked up."""
        inputs, rows = noise, len(noise)
        if self.null_text is not None:
            size = self.config.text_size
            if text is None:
                text = self.null_text.expand(rows, size)
            elif text.shape != (rows, size):
                raise ValueError(f"text_embeds have shape {tuple(text.shape)}; wanted ({rows}, {size})")
            inputs = torch.cat([noise, self.fill_text(text)], dim=1)
        pieces = max(1, rows // ROWS_IN_CACHE) if out.device.type == "cpu" else 1
        starts = [piece * ROWS_IN_CACHE for piece in range(pieces)]
        # The last piece has the remainder too: a handful of rows by themselves would round differently.
        bounds = [*starts, rows]
        hidden_rows = out.new_empty(rows - starts[-1], self.config.hidden_size)
        active_rows = torch.empty_like(hidden_rows)
        linears = [cast(_ResidualLayer, layer).linear for layer in self.layers]
        silu_into = torch.ops.aten.silu.out
        for now in map(slice, bounds, bounds[1:]):
            made, ids = out[now], labels[now]
            hidden, active = hidden_rows[: len(ids)], active_rows[: len(ids)]
            torch.index_select(tables.labels, 0, ids, out=hidden)
            hidden.addmm_(inputs[now], tables.weight.t())
            for linear in linears:
                silu_into(hidden, out=active)
                hidden.add_(linear.bias).addmm_(active, linear.weight.t())
            torch.index_select(tables.means, 0, ids, out=made)
            made.addmm_(noise[now], self.noise_factor.weight.t())
            silu_into(hidden, out=active)
            made.addmm_(active, self.output.weight.t())

    def _voice_of(self, speakers: Tensor, ids: Tensor) -> Tensor:
        """A number from 0 for each pair of speaker and emotion, int64 (rows,)."""
        if not self.config.speaker_noise_size:
            raise ValueError("speakers given; wanted None: this generator's speaker_noise_size is 0")
        if speakers.shape != ids.shape:
            raise ValueError(f"speakers have shape {tuple(speakers.shape)}; wanted {tuple(ids.shape)}, one a label")
        return torch.stack([speakers.to(ids), ids]).unique(dim=1, return_inverse=True)[1]

    def label_ids(self, labels: Sequence[str] | Sequence[int] | Tensor) -> Tensor:
        """Emotion names or ids -> int64 (rows,) on the CPU.

        Raises:
            ValueError: for a name or id that the checkpoint does not know.
        """
        names = self.config.label2id
        if isinstance(labels, Tensor):
            if labels.dtype == torch.int64:
                lowest, highest = labels.aminmax() if len(labels) else (0, 0)
                if lowest >= 0 and highest < len(names):
                    return labels.cpu()
            labels = labels.tolist()
        different = set(labels)
        unknown = {v for v in different if (v not in names if isinstance(v, str) else v not in range(len(names)))}
        if unknown:
            raise ValueError(f"labels {sorted(map(str, unknown))} are unknown; wanted some of {list(names)}")
        ids = {v: names[v] if isinstance(v, str) else int(v) for v in different}
        return torch.tensor([ids[v] for v in labels], dtype=torch.int64)

    @torch.no_grad()
    def start_from(
        self, features: Tensor, labels: Tensor, speakers: Tensor | None = None, shrinkage: float = 0.1
    ) -> "MiseGenerator":
        """Set class means and the noise factor to those of the training rows; returns itself.

        With speaker noise, its columns of the factor reproduce how a speaker's mean of an emotion differs from that of
        all speakers, and the other columns the rest of the covariance within a class.

        Args:
            features: (rows, feature size + paired text size).
            labels: int64 (rows,), every class at least once.
            speakers: int64 (rows,), for a generator with speaker noise.
            shrinkage: share of the shared covariance replaced by a multiple of the identity (0 to 1).

        Raises:
            ValueError: for a class without a row, or no speakers for a generator with speaker noise.
        """
        counts = torch.bincount(labels, minlength=self.config.num_labels)
        if (counts == 0).any():
            absent = [self.config.id2label[int(i)] for i in (counts == 0).nonzero()]
            raise ValueError(f"no training row for {absent}; wanted at least one row for each class")
        means = torch.zeros(len(counts), features.shape[1], dtype=torch.float64)
        means.index_add_(0, labels, features.double())
        means /= counts[:, None]
        residual = features.double() - means[labels]
        covariance = residual.t() @ residual / len(residual)
        between = None if speakers is None else _speaker_covariance(residual, labels, speakers)
        return self.start_from_moments(
            means, covariance, features.mean(0), features.std(0, correction=0), between, shrinkage=shrinkage
        )

    @torch.no_grad()
    def start_from_moments(
        self,
        means: Tensor,
        covariance: Tensor,
        mean: Tensor,
        scale: Tensor,
        speaker_covariance: Tensor | None = None,
        shrinkage: float = 0.1,
    ) -> "MiseGenerator":
        """As `start_from`, from statistics of the training rows, whose size is feature size + paired text size.

        Args:
            means: float64 (labels, size), class means.
            covariance: float64 (size, size), within the classes.
            mean, scale: (size,), mean and standard deviation of all rows.
            speaker_covariance: float64 (size, size), of speakers' means of an emotion about the emotion's mean,
                weighted by rows; for a generator with speaker noise.
            shrinkage: as in `start_from`.
        """
        size = len(covariance)
        # Identity in proportion to the overall variance; a clip of the corpus never seen again keeps some room.
        covariance = (1 - shrinkage) * covariance + shrinkage * covariance.trace() / size * torch.eye(size).double()
        shared = self.config.speaker_noise_size
        if shared and speaker_covariance is None:
            raise ValueError(f"no speakers given; wanted one a row: speaker_noise_size is {shared}")
        self.noise_factor.weight.zero_()
        if shared:
            between = _factor((1 - shrinkage) * speaker_covariance, shared)
            self.noise_factor.weight[:, : between.shape[1]] = between.to(self.noise_factor.weight.dtype)
            covariance = covariance - between @ between.t()
        factor = _factor(covariance, self.config.noise_size - shared)
        self.feature_mean.copy_(mean)
        self.feature_scale.copy_(scale)
        self.class_means.weight.copy_(means)
        self.noise_factor.weight[:, shared : shared + factor.shape[1]] = factor.to(self.noise_factor.weight.dtype)
        return self


def _factor(covariance: Tensor, columns: int) -> Tensor:
    """The leading eigenvectors times the roots of their eigenvalues: float64 (size, up to `columns`)."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()).flip(1)[:, :columns]


def _speaker_covariance(residual: Tensor, labels: Tensor, speakers: Tensor) -> Tensor:
    """Covariance of the means of each speaker's rows of an emotion about the emotion's mean: (size, size)."""
    voice = torch.stack([speakers.to(labels), labels]).unique(dim=1, return_inverse=True)[1]
    counts = torch.bincount(voice).double()
    means = torch.zeros(len(counts), residual.shape[1], dtype=residual.dtype).index_add_(0, voice, residual)
    # Weighted by rows, as the covariance within a class is, so that the difference of the two has no negative part.
    return (means / counts[:, None].sqrt()).t() @ (means / counts[:, None].sqrt()) / len(residual)
