"""Rivals that weigh the rows there are instead of making new ones: class weights and the focal loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn
from torch.nn import functional as F

from mise_hf.benchmark.place import Place
from mise_hf.benchmark.plain import FAMILY_NAMES, SETTINGS, Predict, TunedPlain, chosen, log_probabilities
from mise_hf.benchmark.statistics import unweighted_average_recall
from mise_hf.transfer.choice import balanced_loss

CLASS_WEIGHTS, FOCAL = "class weights", "focal loss"
# (width of the hidden layer, 0 for a linear head; exponent gamma)
FOCAL_SETTINGS = tuple((width, gamma) for width in (0, 256) for gamma in (1.0, 2.0))
FOCAL_STEPS, RATE, DECAY, DROPOUT = 150, 1e-2, 0.1, 0.5


@dataclass(frozen=True)
class Weighted:
    """Predictions int (rows,) of the test rows, and what was chosen."""

    predictions: np.ndarray
    choice: dict[str, Any]


def class_weights(
    insides: Sequence[Place],
    labels: np.ndarray,
    final: Place,
    plain: TunedPlain,
    predictions: Mapping[str, np.ndarray],
) -> Weighted:
    """The classes weigh alike: LDA with equal priors, or what is balanced already among the plain classifiers.

    Args:
        insides: places of the inner folds.
        labels: of their held rows, one fold behind the other.
        final: place of all training rows and the test.
        plain: the tuned plain classifiers, of which logistic regression (weights) and MLP (rows drawn) are balanced.
        predictions: theirs on the test, by family name.
    """
    offered = [choice for choice in plain.choices if choice.family != "lda"]
    for setting in SETTINGS["lda"]:
        scores = np.concatenate([_equal_lda(place, setting)(place.held) for place in insides])
        offered.append(chosen("lda", setting, scores, labels))
    best = min(offered, key=lambda choice: choice.inner_loss)
    if best.family == "lda":
        found = _equal_lda(final, best.setting)(final.held).argmax(1)
    else:
        found = predictions[FAMILY_NAMES[best.family]]
    return Weighted(found, {"family": best.family, "setting": best.setting, "inner_uar": best.inner_uar})


def focal_loss(insides: Sequence[Place], labels: np.ndarray, final: Place, *, seed: int) -> Weighted:
    """A linear or MLP head under the class-weighted focal loss; arguments as in `class_weights`."""
    losses, uars = {}, {}
    for setting in FOCAL_SETTINGS:
        scores = np.concatenate([fit_focal(place, *setting, seed=seed)(place.held) for place in insides])
        losses[setting] = balanced_loss(labels, scores)[0]
        uars[setting] = unweighted_average_recall(labels, scores.argmax(1))
    width, gamma = best = min(losses, key=lambda key: losses[key])
    choice = {"head": "mlp" if width else "linear", "gamma": gamma, "inner_uar": uars[best]}
    return Weighted(fit_focal(final, width, gamma, seed=seed)(final.held).argmax(1), choice)


def _equal_lda(place: Place, shrinkage: float) -> Predict:
    """Features -> log probabilities."""
    classes = len(np.unique(place.table.labels))
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=np.full(classes, 1 / classes))
    model.fit(place.features, place.table.labels)
    return lambda rows: log_probabilities(model, rows)


def fit_focal(place: Place, width: int, gamma: float, *, seed: int) -> Predict:
    """-(1 - p)^gamma log p of the true class (Lin et al., 2017, equation 4), classes weighted to count alike.

    Returns:
        Features -> log probabilities float (rows, classes).
    """
    rows, labels = torch.from_numpy(place.features), torch.from_numpy(place.table.labels)
    unit = float(rows.std(0).mean())
    classes = len(place.table.label_names)
    counts = torch.bincount(labels, minlength=classes).clamp_min(1)
    weight = len(labels) / (len(counts) * counts[labels])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden = [nn.Dropout(DROPOUT), nn.Linear(rows.shape[1], width), nn.ReLU(), nn.Dropout(DROPOUT)] if width else []
        model = nn.Sequential(*hidden, nn.Linear(width or rows.shape[1], classes))
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE if not width else RATE / 10, weight_decay=DECAY)
        for _ in range(FOCAL_STEPS):
            log_p = F.log_softmax(model(rows / unit), dim=1).gather(1, labels[:, None])[:, 0]
            loss = -(weight * (1 - log_p.exp()) ** gamma * log_p).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()

    @torch.no_grad()
    def predict(new: np.ndarray) -> np.ndarray:
        return model(torch.as_tensor(new, dtype=torch.float32) / unit).log_softmax(1).numpy()

    return predict
