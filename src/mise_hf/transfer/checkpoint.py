"""From a generator's checkpoint to a fitted transfer, and back into a checkpoint.

The adapted generator is an ordinary `MiseGenerator` of the target's emotions, whose space takes the target's own states
in.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from mise_hf.features import FeatureTable
from mise_hf.features.fingerprint import AUDIO_PARTS, require_same
from mise_hf.features.provenance import UNSTATED, heard_speakers, merged_corpora, training_corpora
from mise_hf.models.configuration_mise import MiseGeneratorConfig
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.models.space_mise import MiseFeatureSpace
from mise_hf.transfer.adaptation import Posterior, Prior, Settings, log_posterior, without_means
from mise_hf.transfer.choice import (
    UNLABELLED_GRID,
    Believed,
    Inside,
    Labelled,
    choose_settings,
    choose_unlabelled,
    placed_folds,
)
from mise_hf.transfer.own import remade
from mise_hf.transfer.space import features_in, target_space
from mise_hf.transfer.unlabelled import Unlabelled, posterior_with_unlabelled

# Samples of the prior: synthetic speakers, and utterances of each in each emotion.
SPEAKERS, UTTERANCES = 100, 16


@dataclass(frozen=True)
class Transfer:
    """A fitted transfer.

    Attributes:
        posterior: of the target, in the generator's space.
        inside: the settings as chosen, and what they said of left-out speakers.
        space: takes the target's states in.
        names: the target's emotions.
        prior: what the generator says.
        unlabelled: how rows without a label counted.
        heard: corpora and speakers of the rows, as a checkpoint lists them.
        own: the generator has heard speakers of these rows.
    """

    posterior: Posterior
    inside: Inside
    space: MiseFeatureSpace
    names: tuple[str, ...]
    prior: Prior
    unlabelled: Unlabelled
    heard: list[dict]
    own: bool

    @property
    def settings(self) -> Settings:
        """As chosen."""
        return self.inside.settings

    def log_posterior(self, table: FeatureTable, layers: tuple[int, ...]) -> np.ndarray:
        """Log probability of each of the target's emotions, float (rows, classes), nats."""
        return log_posterior(self.posterior, features_in(self.space, table.layer(layers)))


def prior_of(generator: MiseGenerator, label_map: Mapping[str, str] | None = None, *, seed: int) -> Prior:
    """Moments of a generator's samples.

    Args:
        generator: of the encoder space.
        label_map: the generator's name of an emotion -> the target's, where they differ.
        seed: of the samples.

    Raises:
        ValueError: for a name in `label_map` that the generator does not know.
    """
    config = generator.config
    names = [config.id2label[label] for label in range(config.num_labels)]
    unknown = sorted(set(label_map or {}) - set(names))
    if unknown:
        raise ValueError(f"label_map has {unknown}; wanted some of {names}")
    drawn = _draw(generator, seed)
    means = (drawn.made - drawn.linear).mean((1, 2))
    rows, linear = drawn.made - means[:, None, None], drawn.linear
    factor = generator.noise_factor.weight[: config.feature_size].detach().double().cpu().numpy()
    of_speaker, of_utterance = np.split(factor, [config.speaker_noise_size], axis=1)
    # What noise adds linearly has a covariance that is known: only the rest is left to the sample. A sample's own, of
    # 256 dimensions, would be wrong by a third in places, and with it every generator that is adapted by it.
    covariance = factor @ factor.T + _second_moment(rows) - _second_moment(linear)
    between = np.eye(len(covariance))
    if config.speaker_noise_size:
        between = of_speaker @ of_speaker.T + of_utterance @ of_utterance.T / UTTERANCES
        between += _second_moment(rows.mean(2)) - _second_moment(linear.mean(2))
    mapped = tuple((label_map or {}).get(name, name) for name in names)
    return Prior(mapped, means, covariance, between)


@dataclass(frozen=True)
class _Drawn:
    """Samples, and what their noise adds linearly: float64 (emotions, SPEAKERS, UTTERANCES, dim)."""

    made: np.ndarray
    linear: np.ndarray


def _draw(generator: MiseGenerator, seed: int) -> _Drawn:
    config = generator.config
    source, shape = torch.Generator().manual_seed(seed), (config.num_labels, SPEAKERS, UTTERANCES)
    noise = torch.randn(*shape, config.noise_size, generator=source)
    # Utterances of one synthetic speaker in one emotion share the leading part.
    noise[..., : config.speaker_noise_size] = noise[:, :, :1, : config.speaker_noise_size]
    flat = noise.reshape(-1, config.noise_size)
    labels = torch.arange(config.num_labels).repeat_interleave(SPEAKERS * UTTERANCES)
    made = generator.generate(labels, noise=flat).features.double().cpu().numpy()
    linear = flat.double() @ generator.noise_factor.weight[: config.feature_size].detach().double().cpu().t()
    return _Drawn(made.reshape(*shape, -1), linear.numpy().reshape(*shape, -1))


def _second_moment(rows: np.ndarray) -> np.ndarray:
    """Mean outer product of rows (..., dim): (dim, dim)."""
    flat = rows.reshape(-1, rows.shape[-1])
    return flat.T @ flat / len(flat)


def fit_transfer(
    generator: MiseGenerator,
    table: FeatureTable,
    *,
    label_map: Mapping[str, str] | None = None,
    unlabelled: FeatureTable | None = None,
    seed: int,
) -> Transfer:
    """Fit the transfer to a target's training rows; settings are chosen by leaving out groups of its speakers.

    Args:
        generator: in the encoder space; of another corpus, or of these very rows (it lists speakers of theirs). Then
            settings are chosen with untrained ones like it that have not heard the left-out speakers, and its means are
            no prior, since they would count rows twice.
        table: training rows of the target; never a row that is tested on.
        label_map: as in `prior_of`.
        unlabelled: more of the target's rows, whose labels are not looked at; never a row that is tested on. How much
            they count, down to nothing, is chosen with the settings.
        seed: of the prior's samples.

    Raises:
        ValueError: for a generator of an aligned space, features made by another encoder, a class without a row, or no
            emotion in common.
    """
    config = generator.config
    if generator.space is None:
        raise ValueError("the generator's space is 'aligned', which belongs to its aligner; wanted one of 'encoder'")
    for name, features in (("the target", table), ("the unlabelled rows", unlabelled)):
        if features is not None:
            theirs = config.feature_fingerprint or {}
            require_same(features.fingerprint, theirs, AUDIO_PARTS, our_name=name, their_name="generator")
    names = tuple(table.label_names)
    known = heard_speakers(config.training_corpora or [], table.corpus, table.speakers)
    own = bool(known)
    placed = prior_of(generator, label_map, seed=seed)
    prior = without_means(placed) if own else placed

    def believed(fit: np.ndarray) -> Believed:
        if not own:
            return generator, placed, prior
        again = remade(generator, table.select(fit))
        theirs = prior_of(again, seed=seed)
        return again, theirs, without_means(theirs)

    rows = Labelled(table.layer(config.state_layers), table.labels, table.speakers, names)
    folds = placed_folds(rows, believed)
    inside = choose_settings(folds, rows)
    space = target_space(generator, placed, rows.states, rows.labels, names)
    rest = table.select([]) if unlabelled is None else unlabelled
    more, how = rest.layer(config.state_layers), UNLABELLED_GRID[0]
    if len(rest):
        how = choose_unlabelled(folds, rows, inside.settings, more, rest.speakers)
    posterior = posterior_with_unlabelled(
        prior, features_in(space, rows.states), rows.labels, names, inside.settings, features_in(space, more), how
    )
    new = [part for part in (table.select(~np.isin(table.speakers, known)), rest) if len(part)]
    heard = [corpus for part in new for corpus in training_corpora(part, UNSTATED)]
    return Transfer(posterior, inside, space, names, placed, how, heard, own)


def adapt(generator: MiseGenerator, transfer: Transfer) -> MiseGenerator:
    """The transfer as a checkpoint: what the generator makes, moved to the posterior by one linear map.

    Args:
        generator: that the transfer was fitted from.
        transfer: of `fit_transfer`.

    Returns:
        A new `MiseGenerator` of the target's emotions: class means and covariance within a class are the posterior's;
        how noise bends about them is the generator's.
    """
    config = copy.deepcopy(generator.config)
    there = {name: number for number, name in enumerate(transfer.prior.names)}
    # An emotion that the generator does not know borrows the shape of another's scatter.
    borrowed = [there.get(name, 0) for name in transfer.names]
    config.id2label = dict(enumerate(transfer.names))
    config.label2id = {name: label for label, name in config.id2label.items()}
    config.training_corpora = merged_corpora([*(config.training_corpora or []), *transfer.heard])
    adapted = MiseGenerator(cast(MiseGeneratorConfig, config))
    old, new = generator.state_dict(), adapted.state_dict()
    weights = {name: old[name].clone() for name in new}
    map_ = _linear_map(transfer.prior.covariance, transfer.posterior.covariance)
    linear = torch.from_numpy(map_)
    means = torch.from_numpy(transfer.posterior.means)
    centres = torch.from_numpy(transfer.prior.means[borrowed])
    offsets = old["class_means.weight"][borrowed].double().cpu() - centres
    weights["class_means.weight"] = means + offsets @ linear.t()
    weights["label_embedding.weight"] = old["label_embedding.weight"][borrowed]
    for name in ("noise_factor.weight", "output.weight"):
        weights[name] = linear @ old[name].double().cpu()
    weights["output.bias"] = linear @ old["output.bias"].double().cpu()
    adapted.load_state_dict({name: value.to(new[name].dtype) for name, value in weights.items()})
    adapted.space.load_state_dict(transfer.space.state_dict())
    adapted.feature_mean.copy_(means.mean(0))
    within = torch.from_numpy(transfer.posterior.covariance).diagonal()
    adapted.feature_scale.copy_((means.var(0, correction=0) + within).sqrt())
    return adapted.eval()


def _linear_map(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """L with L source L^T = target: the optimal transport of one Gaussian to the other (symmetric)."""
    values, vectors = np.linalg.eigh(source)
    values = np.maximum(values, 1e-9 * values.max())
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    inner_values, inner = np.linalg.eigh(root @ target @ root)
    return inverse @ ((inner * np.sqrt(np.maximum(inner_values, 0))) @ inner.T) @ inverse
