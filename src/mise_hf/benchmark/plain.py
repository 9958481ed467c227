"""Plain classifiers without augmentation, each tuned inside the training speakers: the baseline to beat."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

from mise_hf.benchmark.folds import speaker_folds
from mise_hf.benchmark.statistics import unweighted_average_recall
from mise_hf.features import FeatureTable
from mise_hf.models.modeling_mise_ser import MiseForAudioClassification
from mise_hf.models.space_mise import MiseFeatureSpace
from mise_hf.training.arguments import ClassifierArguments
from mise_hf.training.classifier import make_classifier, train_classifier
from mise_hf.training.rows import TrainingRows, rows_in_encoder_space
from mise_hf.transfer.choice import balanced_loss, tempered

Family = Literal["lda", "logreg", "mlp"]
Predict = Callable[[np.ndarray], np.ndarray]

SETTINGS: dict[Family, tuple[float, ...]] = {
    "lda": (0.1, 0.2, 0.35, 0.5, 0.65, 0.8),  # share of the covariance replaced by a multiple of the identity
    "logreg": (3e-3, 1e-2, 3e-2, 1e-1),  # inverse strength of the ridge penalty
    "mlp": (0.3, 0.5, 0.7),  # dropout
}
FAMILY_NAMES: dict[Family, str] = {"lda": "shrinkage LDA", "logreg": "logistic regression", "mlp": "MLP"}
# More components than this moved no UAR on EmoDB (92.0 with 256 and with all); fewer rows give fewer.
COMPONENTS = 256
INNER_FOLDS = 4
BEST = "best plain (chosen inside)"
# What an average of classifiers gains by itself: the rival of synthetic rows beside the best one.
MEAN = "mean of the plain classifiers"
MLP_STEPS = 200


@dataclass(frozen=True)
class Choice:
    """A classifier, the setting chosen for it, and how it did in the inner folds.

    Attributes:
        family, setting: of the classifier.
        inner_uar: UAR of the held rows of `inner_splits`.
        inner_loss: their class-balanced negative log probability at the best of a few temperatures, nats.
        temperature: that one.
        inner_scores: log probabilities float (held rows, classes), one split behind the other; None where nothing was
            held out.
    """

    family: Family
    setting: float
    inner_uar: float = float("nan")
    inner_loss: float = float("nan")
    temperature: float = 1.0
    inner_scores: np.ndarray | None = field(default=None, compare=False, repr=False)


def fit_plain(family: Family, setting: float, features: np.ndarray, labels: np.ndarray, seed: int) -> Predict:
    """Fit one classifier on features float (rows, dim) and labels int (rows,); returns features -> predicted labels."""
    scores = fit_scores(family, setting, features, labels, seed)
    classes = np.unique(labels)
    return lambda rows: classes[scores(rows).argmax(1)]


def fit_scores(family: Family, setting: float, features: np.ndarray, labels: np.ndarray, seed: int) -> Predict:
    """As `fit_plain`; returns features -> log probabilities float (rows, classes among the labels)."""
    if family == "mlp":
        model = fit_head(features, labels, setting, seed)
        return lambda rows: _scores_of(model, rows)[:, np.unique(labels)]
    scale = _logistic_scale(features) if family == "logreg" else 1.0
    linear = _fit_linear(family, setting, features / scale, labels)
    return lambda rows: log_probabilities(linear, rows / scale)


def log_probabilities(
    linear: LinearDiscriminantAnalysis | LogisticRegression | SelfTrainingClassifier, rows: np.ndarray
) -> np.ndarray:
    """Of each class, float (rows, classes); scikit-learn's own are cut off where a probability underflows."""
    scores = linear.decision_function(rows)
    # Of two classes scikit-learn gives the second one's score against the first's alone.
    return tempered(np.stack([np.zeros_like(scores), scores], axis=1) if scores.ndim == 1 else scores, 1.0)


def _logistic_scale(features: np.ndarray) -> float:
    """Unit scale, as the ridge penalty wants it."""
    return float(features.std(0).mean())


def _fit_linear(
    family: Family, setting: float, features: np.ndarray, labels: np.ndarray
) -> LinearDiscriminantAnalysis | LogisticRegression:
    with warnings.catch_warnings():
        # A class with one row in an inner fold has no spread of its own; the shared covariance does not need it.
        warnings.filterwarnings("ignore", message="Only one sample available")
        if family == "lda":
            return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=setting).fit(features, labels)
        # Class weights, as the measure is the unweighted recall.
        return LogisticRegression(C=setting, max_iter=500, class_weight="balanced").fit(features, labels)


def fit_head(features: np.ndarray, labels: np.ndarray, dropout: float, seed: int) -> MiseForAudioClassification:
    """The SER head as an MLP over features; labels must run from 0 without a gap."""
    arguments = ClassifierArguments(steps=MLP_STEPS, dropout=dropout, seed=seed, weight_decay=1.0)
    space = rows_in_identity_space(features, labels)
    names = [str(label) for label in range(int(labels.max()) + 1)]
    return train_classifier(space, arguments, label_names=names)


def rows_in_identity_space(features: np.ndarray, labels: np.ndarray) -> TrainingRows:
    """Features as they are, as training rows."""
    space = MiseFeatureSpace(features.shape[1], features.shape[1])
    return TrainingRows(
        torch.as_tensor(features, dtype=torch.float32), torch.as_tensor(labels, dtype=torch.int64), None, space, (0,)
    )


def _scores_of(model: MiseForAudioClassification, rows: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(features=torch.as_tensor(rows, dtype=torch.float32)).logits.log_softmax(1).numpy()


def inner_folds(table: FeatureTable) -> list[tuple[np.ndarray, np.ndarray]]:
    """Speaker-grouped folds inside the training rows; a fold whose training part lacks a class is left out."""
    count = min(INNER_FOLDS, len(set(table.speakers)))
    classes = len(np.unique(table.labels))
    return [
        (fit, held)
        for fit, held in speaker_folds(table.speakers, count)
        if len(np.unique(table.labels[fit])) == classes
    ]


def inner_splits(
    table: FeatureTable, development: FeatureTable | None = None
) -> list[tuple[FeatureTable, FeatureTable]]:
    """Where choices are made: fitted on the first table, scored on the second.

    Args:
        table: training rows.
        development: of the corpus's own split: the one table to score on, in place of inner folds of speakers.

    Raises:
        ValueError: for an emotion without a row, or where no inner fold has every class in its training part.
    """
    absent = sorted({*table.label_names} - {table.label_names[label] for label in table.labels})
    if absent:
        raise ValueError(f"no training row of {absent}; wanted some of each of {list(table.label_names)}")
    if development is not None:
        return [(table, development)]
    folds = inner_folds(table)
    if not folds:
        raise ValueError(
            f"every inner fold lacks a class: {len(table)} rows, {len(set(table.speakers))} speakers; wanted more rows"
        )
    return [(table.select(fit), table.select(held)) for fit, held in folds]


def _tune_layers(table: FeatureTable, development: FeatureTable | None) -> tuple[tuple[int, ...], Choice]:
    """The encoder layer, or all of them side by side, in which a tuned shrinkage LDA loses least, and that LDA."""
    offered = dict.fromkeys([*((layer,) for layer in table.audio_layers), tuple(table.audio_layers)])
    tuned = {layers: tune(table, layers, "lda", 0, development=development) for layers in offered}
    return min(tuned.items(), key=lambda item: item[1].inner_loss)


def tune(
    table: FeatureTable,
    layers: tuple[int, ...],
    family: Family,
    seed: int,
    settings: tuple[float, ...] | None = None,
    development: FeatureTable | None = None,
) -> Choice:
    """The setting with the least loss over `inner_splits`; scaler and components are refitted in each.

    The loss is the class-balanced log probability at the best of a few temperatures: UAR takes so few values on a few
    dozen clips that it chooses by chance, and costs a point or two.

    Raises:
        ValueError: where no inner fold has every class in its training part.
    """
    splits = inner_splits(table, development)
    settings = settings or SETTINGS[family]
    found: dict[float, list[np.ndarray]] = {setting: [] for setting in settings}
    truth = np.concatenate([held.labels for _, held in splits])
    for fit, held in splits:
        rows = rows_in_encoder_space(fit, layers, COMPONENTS)
        test = project(rows, held.layer(layers))
        for setting in settings:
            found[setting].append(fit_scores(family, setting, rows.features.numpy(), rows.labels.numpy(), seed)(test))
    return min((chosen(family, s, np.concatenate(parts), truth) for s, parts in found.items()), key=_loss_of)


def chosen(family: Family, setting: float, inner_scores: np.ndarray, labels: np.ndarray) -> Choice:
    """A classifier with how it did: log probabilities float (inner held rows, classes) against labels int (rows,)."""
    loss, temperature = balanced_loss(labels, inner_scores)
    uar = unweighted_average_recall(labels, inner_scores.argmax(1))
    return Choice(family, setting, uar, loss, temperature, inner_scores)


def _loss_of(choice: Choice) -> float:
    return choice.inner_loss


@dataclass(frozen=True)
class TunedPlain:
    """The three plain classifiers of a set of training rows, each tuned inside; `best` by inner loss."""

    layers: tuple[int, ...]
    choices: list[Choice]
    rows: TrainingRows

    @property
    def best(self) -> Choice:
        """The choice with the least inner loss."""
        return min(self.choices, key=_loss_of)

    def predict(self, test: FeatureTable, seed: int) -> dict[str, np.ndarray]:
        """Predicted labels int (rows,), see `named`."""
        return self.named(self.scores(test, seed))

    def named(self, scores: Mapping[Family, np.ndarray]) -> dict[str, np.ndarray]:
        """Predicted labels int (rows,) of every family, of the best one under `BEST`, and of their `MEAN`."""
        found = {FAMILY_NAMES[family]: scored.argmax(1) for family, scored in scores.items()}
        mean = np.sum(list(scores.values()), axis=0).argmax(1)
        return found | {BEST: found[FAMILY_NAMES[self.best.family]]} | ({MEAN: mean} if len(scores) > 1 else {})

    def scores(self, test: FeatureTable, seed: int) -> dict[Family, np.ndarray]:
        """Log probabilities float (rows, classes) of every family, at the temperature that was best inside."""
        features, labels = self.rows.features.numpy(), self.rows.labels.numpy()
        rows = project(self.rows, test.layer(self.layers))
        return {
            c.family: tempered(fit_scores(c.family, c.setting, features, labels, seed)(rows), c.temperature)
            for c in self.choices
        }


def save_head(
    plain: TunedPlain, *, label_names: Sequence[str], fingerprint: dict, corpora: list[dict], seed: int
) -> MiseForAudioClassification:
    """The best plain classifier as an SER head on pooled states; LDA and logistic regression are linear layers."""
    best, rows = plain.best, plain.rows
    features, labels = rows.features.numpy(), rows.labels.numpy()
    if best.family == "mlp":
        fitted = fit_head(features, labels, best.setting, seed)
        head = {k: v for k, v in fitted.state_dict().items() if not k.startswith("space.")}
    else:
        scale = _logistic_scale(features) if best.family == "logreg" else 1.0
        linear = _fit_linear(best.family, best.setting, features / scale, labels)
        head = {
            "classifier.weight": _row_per_class(torch.as_tensor(linear.coef_ / scale, dtype=torch.float32)),
            "classifier.bias": _row_per_class(torch.as_tensor(linear.intercept_, dtype=torch.float32)),
        }
    arguments = ClassifierArguments(head="mlp" if best.family == "mlp" else "linear", seed=seed)
    model = make_classifier(
        TrainingRows(rows.features, rows.labels, None, rows.space, plain.layers),
        arguments,
        label_names=label_names,
        fingerprint=fingerprint,
        corpora=corpora,
    )
    model.load_state_dict(head, strict=False)
    return model.eval()


def _row_per_class(values: torch.Tensor) -> torch.Tensor:
    """Of two classes scikit-learn keeps the second one's row alone: the first one's logit is then 0."""
    return torch.cat([torch.zeros_like(values), values]) if len(values) == 1 else values


def tune_plain(train: FeatureTable, seed: int, development: FeatureTable | None = None) -> TunedPlain:
    """Choose the encoder layers, then each family's setting, inside the training speakers or on development rows."""
    layers, lda = _tune_layers(train, development)
    others = [tune(train, layers, family, seed, development=development) for family in SETTINGS if family != "lda"]
    choices = [lda, *others]
    return TunedPlain(layers, choices, rows_in_encoder_space(train, layers, COMPONENTS))


def project(rows: TrainingRows, states: np.ndarray) -> np.ndarray:
    """States float32 (rows, state size) in the encoder space of training rows, float32 (rows, feature size)."""
    assert rows.space is not None
    return rows.space.project(torch.from_numpy(states)).numpy()
