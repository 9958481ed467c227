"""What the benchmark measures of synthetic rows, all against the same real rows; nats."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from mise_hf.features import FeatureTable
from mise_hf.metrics.mise_quality.carried import carried_information
from mise_hf.metrics.mise_quality.fidelity import neighbourhood
from mise_hf.metrics.mise_quality.information import joint_information, label_information, vector_information
from mise_hf.metrics.mise_quality.memorisation import memorisation

# Draws of synthetic rows over which carried information is averaged: one draw of n rows moves it by some hundredths.
DRAWS = 5
# Each refits the estimator, about 2 s on 400 rows.
PERMUTATIONS = 5


@dataclass(frozen=True)
class SyntheticMeasures:
    """The real rows that synthetic ones are held against: features float (rows, dim) of training and of test.

    With `information`, the mutual informations are estimated too, with permutation nulls: some 20 s a set of rows.
    """

    features: np.ndarray
    train: FeatureTable
    test_features: np.ndarray
    test: FeatureTable
    seed: int
    information: bool = True


def measure_real(real: SyntheticMeasures, text: Tensor | None = None) -> dict[str, Any]:
    """I(c; h) of the unseen speakers' rows, with text I(t; h) and I((c, t); h); what the training rows carry to them.

    Args:
        real: the real rows.
        text: float (test rows, text dim), of the test rows.
    """
    found: dict[str, Any] = {"carried_information": _carried(real, real.features, real.train.labels)["raw"]}
    # On the test rows: an aligner has seen the labels of its training rows, and would be praised for its memory.
    return found | _informations(real, real.test.labels, real.test_features, text)


def measure_synthetic(
    real: SyntheticMeasures, draw: Callable[[int], np.ndarray], labels: np.ndarray, text: Tensor | None = None
) -> dict[str, Any]:
    """The same of synthetic rows, and whether they are spread as the real ones are and are not copies.

    Args:
        draw: seed -> synthetic rows (rows, dim), as many as training rows; the first seed is `real.seed`.
        labels: int (rows,), the emotions drawn for.
        text: float (rows, text dim), the text of the draw with `real.seed`.
    """
    made = draw(real.seed)
    near = neighbourhood(real.features, made)
    found = {
        "carried_information": mean_carried(real, draw, labels),
        "precision": near.precision,
        "recall": near.recall,
        "coverage": near.coverage,
        "within_class_variance_ratio": variance_ratio(real.features, real.train.labels, made, labels),
    }
    return found | _informations(real, labels, made, text)


def mean_carried(real: SyntheticMeasures, draw: Callable[[int], np.ndarray], labels: np.ndarray) -> float:
    """Carried information of synthetic rows, averaged over draws; arguments as in `measure_synthetic`."""
    return float(np.mean([_carried(real, draw(real.seed + number), labels)["raw"] for number in range(DRAWS)]))


def variance_ratio(features: np.ndarray, labels: np.ndarray, made: np.ndarray, made_labels: np.ndarray) -> float:
    """Within-class variance of synthetic rows over that of real rows, averaged over classes, summed over dimensions."""

    def within(rows: np.ndarray, codes: np.ndarray) -> float:
        return float(np.mean([rows[codes == code].var(0).sum() for code in np.unique(labels)]))

    return within(made, made_labels) / within(features, labels)


def measure_memorisation(
    made: np.ndarray, features: np.ndarray, train: FeatureTable, withheld: np.ndarray, table: FeatureTable
) -> dict[str, Any]:
    """Are synthetic rows nearer to training rows than withheld real rows of the same speakers are?

    Args:
        made: synthetic rows (rows, dim).
        features, train: training rows (rows', dim) and their table.
        withheld, table: withheld rows (rows'', dim) of the training speakers and their table.
    """
    return asdict(
        memorisation(made, features, withheld, training_speakers=train.speakers, withheld_speakers=table.speakers)
    )


def _carried(real: SyntheticMeasures, rows: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    return _plain(
        carried_information(rows, labels, real.test_features, real.test.labels, real.test.speakers, seed=real.seed)
    )


def _informations(real: SyntheticMeasures, labels: np.ndarray, rows: np.ndarray, text: Tensor | None) -> dict[str, Any]:
    if not real.information:
        return {}
    options = {"n_permutations": PERMUTATIONS, "seed": real.seed}
    found = {"label_information": _plain(label_information(labels, rows, **options))}
    if text is not None:
        texts = text.numpy()
        found["text_information"] = _plain(vector_information(texts, rows, **options))
        found["joint_information"] = _plain(joint_information(labels, texts, rows, seed=real.seed))
    return found


def _plain(information: Any) -> dict[str, Any]:
    """An `Information` as JSON values, without its timings, which differ from run to run."""
    values = asdict(information)
    return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items() if "seconds" not in key}
