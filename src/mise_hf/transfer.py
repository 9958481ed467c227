"""A generator of another corpus, adapted to the few rows of a target: settings chosen inside, folded into a checkpoint.

May import features, adaptation, models. The adapted generator is an ordinary `MiseGenerator` of the target's emotions,
whose space takes the target's own states in.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby, product
from typing import cast

import numpy as np
import torch
from sklearn.model_selection import GroupKFold

from mise_hf.adaptation import (
    Posterior,
    Prior,
    Settings,
    log_posterior,
    posterior_covariance,
    posterior_means,
    posterior_of,
    shared_emotions,
)
from mise_hf.features import FeatureTable
from mise_hf.features.fingerprint import AUDIO_PARTS, require_same
from mise_hf.features.provenance import training_corpora
from mise_hf.models.configuration_mise import MiseGeneratorConfig
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.models.space_mise import MiseFeatureSpace

GRID = tuple(
    Settings(*values) for values in product((0.5, 1.0, 2.0, 4.0, 8.0, 32.0), (0.1, 0.3, 0.6, 1.0), (0.3, 0.5, 0.7))
)
# Where the target has too few speakers for inner folds.
FALLBACK = Settings(2.0, 0.3, 0.5)
INNER_FOLDS = 4
# Log probabilities are scored at the best of these temperatures: a setting is chosen for how it ranks the emotions, not
# for how sure it is.
TEMPERATURES = np.geomspace(0.1, 3, 12)
# Samples of the prior: synthetic speakers, and utterances of each in each emotion.
SPEAKERS, UTTERANCES = 100, 16


@dataclass(frozen=True)
class Transfer:
    """A fitted transfer.

    Attributes:
        posterior: of the target, in the generator's space.
        settings: as chosen.
        space: takes the target's states in.
        names: the target's emotions.
        prior: what the generator says.
    """

    posterior: Posterior
    settings: Settings
    space: MiseFeatureSpace
    names: tuple[str, ...]
    prior: Prior

    def log_posterior(self, table: FeatureTable, layers: tuple[int, ...]) -> np.ndarray:
        """Log probability of each of the target's emotions, float (rows, classes), nats."""
        return log_posterior(self.posterior, _features(self.space, table.layer(layers)))


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
    labels = torch.arange(len(names)).repeat_interleave(SPEAKERS * UTTERANCES)
    voices = torch.arange(SPEAKERS).repeat_interleave(UTTERANCES).repeat(len(names))
    source = torch.Generator().manual_seed(seed)
    made = generator.generate(labels, speakers=voices if config.speaker_noise_size else None, generator=source)
    rows = made.features.double().cpu().numpy().reshape(len(names), SPEAKERS, UTTERANCES, -1)
    means = rows.mean((1, 2))
    residual = (rows - means[:, None, None]).reshape(-1, rows.shape[-1])
    between = np.eye(rows.shape[-1])
    if config.speaker_noise_size:
        apart = (rows.mean(2) - means[:, None]).reshape(-1, rows.shape[-1])
        between = apart.T @ apart / len(apart)
    mapped = tuple((label_map or {}).get(name, name) for name in names)
    return Prior(mapped, means, residual.T @ residual / len(residual), between)


def fit_transfer(
    generator: MiseGenerator, table: FeatureTable, *, label_map: Mapping[str, str] | None = None, seed: int
) -> Transfer:
    """Fit the transfer to a target's training rows; settings are chosen by leaving out groups of its speakers.

    Args:
        generator: trained on another corpus, in the encoder space.
        table: training rows of the target; never a row that is tested on.
        label_map: as in `prior_of`.
        seed: of the prior's samples.

    Raises:
        ValueError: for a generator of an aligned space, features made by another encoder, a class without a row, or no
            emotion in common.
    """
    config = generator.config
    if generator.space is None:
        raise ValueError("the generator's space is 'aligned', which belongs to its aligner; wanted one of 'encoder'")
    require_same(
        table.fingerprint, config.feature_fingerprint or {}, AUDIO_PARTS, our_name="the target", their_name="generator"
    )
    prior, names = prior_of(generator, label_map, seed=seed), tuple(table.label_names)
    states = table.layer(config.state_layers)
    settings = _choose(generator, prior, states, table.labels, table.speakers, names)
    space = target_space(generator, prior, states, table.labels, names)
    posterior = posterior_of(prior, _features(space, states), table.labels, names, settings)
    return Transfer(posterior, settings, space, names, prior)


def target_space(
    generator: MiseGenerator, prior: Prior, states: np.ndarray, labels: np.ndarray, names: tuple[str, ...]
) -> MiseFeatureSpace:
    """The generator's space, with mean and scale such that the shared emotions lie where the generator has them.

    Emotion by emotion, so that neither how often an emotion occurs nor an emotion of one side alone moves the others.
    """
    shared = shared_emotions(prior, names)
    mean = np.mean([states[labels == label].mean(0, dtype=np.float64) for label, _ in shared], axis=0)
    variance = np.mean([((states[labels == label] - mean) ** 2).mean(0) for label, _ in shared], axis=0)
    floor = 1e-12 * max(variance.max(), 1e-30)
    components = generator.space.components.double().cpu().numpy()
    theirs, everyone = _moments(prior, [there for _, there in shared]), _moments(prior, list(range(len(prior.names))))
    # The generator's corpus has unit variance in each state over all its emotions; the part outside the components is
    # taken to be the same for the shared ones.
    change = (components * ((theirs[1] - everyone[1]) @ components)).sum(0)
    scale = np.sqrt(np.maximum(variance, floor) / np.maximum(1 + change, 0.1))
    space = copy.deepcopy(generator.space)
    space.scale.copy_(torch.from_numpy(scale))
    space.mean.copy_(torch.from_numpy(mean - scale * (theirs[0] @ components)))
    return space


def adapt(generator: MiseGenerator, transfer: Transfer, table: FeatureTable) -> MiseGenerator:
    """The transfer as a checkpoint: what the generator makes, moved to the posterior by one linear map.

    Args:
        generator: that the transfer was fitted from.
        transfer: of `fit_transfer`.
        table: the target's training rows, which the checkpoint lists beside the generator's own.

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
    config.training_corpora = [*(config.training_corpora or []), *training_corpora(table, "unstated")]
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


def _moments(prior: Prior, chosen: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean float (dim,) and covariance float (dim, dim) of a balanced mixture of the chosen emotions."""
    means = prior.means[chosen]
    centred = means - means.mean(0)
    return means.mean(0), prior.covariance + centred.T @ centred / len(chosen)


def _features(space: MiseFeatureSpace, states: np.ndarray) -> np.ndarray:
    return space.project(torch.from_numpy(states)).double().numpy()


def _choose(
    generator: MiseGenerator,
    prior: Prior,
    states: np.ndarray,
    labels: np.ndarray,
    speakers: np.ndarray,
    names: tuple[str, ...],
) -> Settings:
    """The settings with the best class-balanced log probability of left-out speakers' rows.

    Not UAR: of forty rows it takes so few values that it chooses by chance.
    """
    found: dict[Settings, list[np.ndarray]] = {settings: [] for settings in GRID}
    truth = []
    count = min(INNER_FOLDS, len(set(speakers)))
    for fit, held in GroupKFold(count).split(states, groups=speakers) if count > 1 else ():
        if len(np.unique(labels[fit])) < len(names):
            continue
        space = target_space(generator, prior, states[fit], labels[fit], names)
        rows, held_rows = _features(space, states[fit]), _features(space, states[held])
        truth.append(labels[held])
        for trust, group in groupby(GRID, key=lambda settings: settings.trust):
            means = posterior_means(prior, rows, labels[fit], names, trust)
            residual = rows - means[labels[fit]]
            covariance = residual.T @ residual / len(residual)
            for settings in group:
                posterior = Posterior(means, posterior_covariance(prior, covariance, settings))
                found[settings].append(log_posterior(posterior, held_rows))
    if not truth:
        return FALLBACK
    answers = np.concatenate(truth)
    return min(GRID, key=lambda settings: _loss(answers, np.concatenate(found[settings])))


def _loss(labels: np.ndarray, log_probabilities: np.ndarray) -> float:
    """Class-balanced negative log probability at the best temperature, nats."""
    losses = []
    for temperature in TEMPERATURES:
        scores = temperature * log_probabilities
        scores = scores - scores.max(1, keepdims=True)
        right = scores[np.arange(len(labels)), labels] - np.log(np.exp(scores).sum(1))
        losses.append(-np.mean([right[labels == label].mean() for label in np.unique(labels)]))
    return float(min(losses))
