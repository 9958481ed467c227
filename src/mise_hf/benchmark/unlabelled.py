"""One cell of the question: what do clips without a label add? Those of the training speakers that were not drawn.

A question of its own, since every method here knows more than the best plain classifier of the labelled rows. The
rivals: self-training, where a classifier learns from its own sure predictions of the unlabelled clips; the same
estimates without those clips; and the same of the Gaussian that a generator starts from, untrained.
"""

import warnings
from collections.abc import Mapping

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.semi_supervised import SelfTrainingClassifier

from mise_hf.benchmark.adapted import adapted_rows
from mise_hf.benchmark.folds import require_unseen, require_unseen_speakers
from mise_hf.benchmark.foreign import ForeignResult
from mise_hf.benchmark.plain import (
    BEST,
    COMPONENTS,
    TunedPlain,
    fit_scores,
    inner_splits,
    log_probabilities,
    project,
    tune_plain,
)
from mise_hf.benchmark.re_estimated import RE_ESTIMATED, own_generator
from mise_hf.features import FeatureTable
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.training.rows import rows_in_encoder_space
from mise_hf.transfer import adapt, fit_transfer
from mise_hf.transfer.choice import balanced_loss

SELF_TRAINED = "LDA, self-trained on unlabelled clips"
WITH_UNLABELLED = " + unlabelled clips"
# Probability from which a prediction becomes a label, in self-training; chosen inside with the shrinkage.
THRESHOLDS = (0.8, 0.95, 0.999)
SHRINKAGES = (0.2, 0.5, 0.8)
UNKNOWN = -1


def run_unlabelled_cell(
    train: FeatureTable,
    unlabelled: FeatureTable,
    test: FeatureTable,
    generators: Mapping[str, MiseGenerator],
    *,
    licence: str,
    seed: int,
    steps: int,
) -> ForeignResult:
    """Train and test every method, with the unlabelled clips and without them.

    Args:
        train: labelled rows; every class at least twice.
        unlabelled: rows of training speakers, whose labels are not looked at.
        test: rows of other speakers.
        generators: of other corpora, by name.
        licence: of the corpus.
        seed: of every draw and training.
        steps: optimiser steps of the in-corpus generator.

    Raises:
        ValueError: where training, the unlabelled clips or a generator have seen a test speaker or clip.
    """
    for seen in (train, unlabelled):
        require_unseen(seen, test)
    for generator in generators.values():
        require_unseen_speakers(generator.config.training_corpora, test)
    result = ForeignResult()
    plain = tune_plain(train, seed)
    result.predictions |= plain.predict(test, seed)
    result.choices[BEST] = [list(plain.layers), plain.best.family, plain.best.setting]
    _self_trained(result, plain, train, unlabelled, test)
    own = {name: own_generator(name, train, licence=licence, seed=seed, steps=steps) for name in RE_ESTIMATED}
    for name, generator in {**own, **generators}.items():
        for suffix, more in (("", None), (WITH_UNLABELLED, unlabelled)):
            transfer = fit_transfer(generator, train, unlabelled=more, seed=seed)
            rows = adapted_rows(adapt(generator, transfer), test, seed)
            result.predictions[name + suffix] = rows.scores().argmax(1)
            settings, how = transfer.settings, transfer.unlabelled
            result.choices[name + suffix] = [settings.trust, settings.source_share, settings.shrinkage, how.weight]
    return result


def _self_trained(
    result: ForeignResult, plain: TunedPlain, train: FeatureTable, unlabelled: FeatureTable, test: FeatureTable
) -> None:
    """Shrinkage LDA in the best plain classifier's layers, its own sure predictions added as labels round by round."""
    settings = [(shrinkage, threshold) for shrinkage in SHRINKAGES for threshold in THRESHOLDS]
    found: dict[tuple[float, float], list[np.ndarray]] = {setting: [] for setting in settings}
    splits = inner_splits(train)
    for fit, held in splits:
        others = unlabelled.select(~np.isin(unlabelled.speakers, held.speakers))
        for setting in settings:
            found[setting].append(_self_training(fit, others, held, plain.layers, setting))
    truth = np.concatenate([held.labels for _, held in splits])
    losses = {s: balanced_loss(truth, np.concatenate(parts))[0] for s, parts in found.items()}
    best = min(settings, key=lambda setting: losses[setting])
    result.choices[SELF_TRAINED] = list(best)
    result.predictions[SELF_TRAINED] = _self_training(train, unlabelled, test, plain.layers, best).argmax(1)


def _self_training(
    train: FeatureTable, unlabelled: FeatureTable, test: FeatureTable, layers: tuple[int, ...], setting: tuple
) -> np.ndarray:
    """Log probabilities of the test rows, float (rows, classes)."""
    rows = rows_in_encoder_space(train, layers, COMPONENTS)
    shrinkage, threshold = setting
    features, labels, held = rows.features.numpy(), train.labels, project(rows, test.layer(layers))
    if not len(unlabelled):
        return fit_scores("lda", shrinkage, features, labels, 0)(held)
    features = np.concatenate([features, project(rows, unlabelled.layer(layers))])
    labels = np.concatenate([labels, np.full(len(unlabelled), UNKNOWN)])
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    with warnings.catch_warnings():
        # As in the plain LDA: a class of one row has no spread of its own.
        warnings.filterwarnings("ignore", message="Only one sample available")
        fitted = SelfTrainingClassifier(lda, threshold=threshold, max_iter=5).fit(features, labels)
    return log_probabilities(fitted, held)
