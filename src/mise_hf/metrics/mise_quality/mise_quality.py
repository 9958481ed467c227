"""The evaluate module: `evaluate.load("org/mise_quality")`, or the path of this folder. Arithmetic is in quality.py.

`evaluate` copies only the siblings that this script itself imports, so every file of the folder is named here.
"""

from typing import Any

import datasets
import evaluate
import numpy as np

from .adamw import AdamW
from .assembly import Estimate
from .carried import carried_information
from .checks import as_matrix
from .conditional import estimate_within
from .corrections import Network
from .critic import critic_bound
from .crossfit import fold_numbers
from .drawing import Scores
from .ensemble import Ensemble
from .fidelity import frechet
from .gaussian_copula import gaussian_information
from .held_out_real import cross_fitted_carried
from .information import label_information
from .interactions import interacting_columns
from .label_bounds import entropy_of
from .linear_classifier import fit_linear
from .memorisation import memorisation
from .nearest_neighbours import neighbour_shares
from .new_rows import pointwise_new_label_information
from .normalisation import overshoot
from .polynomial_terms import PolynomialRegression
from .pooling import pooled
from .posteriors import Squash
from .preparation import labelled
from .quality import quality
from .result import Information
from .student_copula import fit_student
from .unmixing import unmixed
from .vector_bounds import estimate_vectors
from .verdict import summary

__all__ = [
    "AdamW",
    "Ensemble",
    "Estimate",
    "Information",
    "MiseQuality",
    "Network",
    "PolynomialRegression",
    "Scores",
    "Squash",
    "as_matrix",
    "carried_information",
    "critic_bound",
    "cross_fitted_carried",
    "entropy_of",
    "estimate_vectors",
    "estimate_within",
    "fit_linear",
    "fit_student",
    "fold_numbers",
    "frechet",
    "gaussian_information",
    "interacting_columns",
    "label_information",
    "labelled",
    "memorisation",
    "neighbour_shares",
    "overshoot",
    "pointwise_new_label_information",
    "pooled",
    "quality",
    "summary",
    "unmixed",
]

_DESCRIPTION = """
Quality of synthetic features for speech emotion recognition: how much emotion they carry to real speech of unseen
speakers (in nats), how diverse and faithful they are, and whether training rows were copied.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: synthetic features (rows, columns).
    references: real features (rows, columns), as many rows; best of speakers the generator has not seen.
    prediction_labels: (rows,) the labels that the synthetic rows were generated for; names or whole numbers.
    reference_labels: (rows,) the labels of the real rows.
    groups: (rows,) speakers of the real rows.
    text, prediction_text: (rows, T) text vectors of the real and of the synthetic rows.
    training, training_labels, training_groups: what the generator was trained on.
    n_permutations: refitted permutations behind each null; 0 for none.
    seed: of every draw.
Returns:
    One flat dict: floats in nats and plain shares (the card lists them), and `summary` in words.
Examples:
    >>> metric = evaluate.load("org/mise_quality")
    >>> found = metric.compute(predictions=synthetic, references=real,
    ...                        prediction_labels=synthetic_labels, reference_labels=labels, groups=speakers)
    >>> print(found["summary"])
"""

_CITATION = """
@article{ahn2025improving,
  title = {Improving Speech Emotion Recognition with Mutual Information Regularized Generative Model},
  author = {Ahn and Rana and Sivadas and Busso and Rajapakse},
  journal = {arXiv preprint arXiv:2510.10078},
  year = {2025}
}
"""

INPUTS = ("predictions", "references", "prediction_labels", "reference_labels")
OPTIONS = (
    "groups",
    "text",
    "prediction_text",
    "training",
    "training_labels",
    "training_groups",
    "n_permutations",
    "seed",
)


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class MiseQuality(evaluate.Metric):
    """Collects batches, or takes arrays at once, and hands them to `quality`."""

    def _info(self) -> evaluate.MetricInfo:
        formats = []
        for label in ("string", "int64"):
            formats.append(
                datasets.Features(
                    {
                        "predictions": datasets.Sequence(datasets.Value("float32")),
                        "references": datasets.Sequence(datasets.Value("float32")),
                        "prediction_labels": datasets.Value(label),
                        "reference_labels": datasets.Value(label),
                    }
                )
            )
        info = evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=formats,
        )
        # Only set here: the constructor allows "numpy" for scalars alone, and lists make 5,000 x 768 cost seconds.
        info.format = "numpy"
        return info

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Adds rows of both sides with their labels.

        Raises:
            ValueError: for missing inputs.
        """
        given = {"predictions": predictions, "references": references, **kwargs}
        require_inputs(given)
        super().add_batch(**given)

    def compute(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> dict[str, Any] | None:
        """The scores of what was added, or of the arrays given here; see the class's description.

        Raises:
            ValueError: a mistyped option, missing input, or input that `quality` refuses.
        """
        unknown = sorted(set(kwargs) - {*INPUTS, *OPTIONS})
        if unknown:
            raise ValueError(f"unknown options {unknown}; allowed are {', '.join((*INPUTS, *OPTIONS))}")
        if predictions is None and references is None:
            if self.writer is None:
                raise ValueError("nothing to score: give predictions and references, or call add_batch first")
            return super().compute(**kwargs)
        if self.writer is not None:
            raise ValueError(
                "batches were added and arrays given too; call compute() without arrays, or without add_batch"
            )
        given = {"predictions": predictions, "references": references, **kwargs}
        require_inputs(given)
        if self.num_process > 1:
            return super().compute(**given)
        # One process: no reason to write the arrays to a table on disk and read them back.
        return self._compute(**given)

    def _compute(
        self,
        predictions: Any,
        references: Any,
        prediction_labels: Any,
        reference_labels: Any,
        prediction_text: Any = None,
        **options: Any,
    ) -> dict[str, Any]:
        return quality(
            stacked(predictions),
            prediction_labels,
            stacked(references),
            reference_labels,
            synthetic_text=prediction_text,
            **options,
        )


def require_inputs(given: dict[str, Any]) -> None:
    """Raises ValueError unless all of INPUTS are `given`."""
    missing = [name for name in INPUTS if given.get(name) is None]
    if missing:
        raise ValueError(f"missing inputs {missing}; all of {', '.join(INPUTS)} are needed")


def stacked(rows: Any) -> Any:
    """Rows of a table come back as an array of arrays when they were added one by one; a matrix is left alone."""
    if isinstance(rows, np.ndarray) and rows.dtype == object and len({len(row) for row in rows}) == 1:
        return np.stack(list(rows))
    return rows
