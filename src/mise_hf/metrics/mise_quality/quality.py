"""Everything the module measures, on arrays: one flat dict of numbers and a summary in words. Imports siblings only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .carried import carried_information
from .checks import as_codes, as_matrix, check_columns, check_count
from .drawing import Scores
from .fidelity import frechet, neighbourhood, transfer_recall, vendi_score
from .held_out_real import cross_fitted_carried
from .information import joint_information, label_information, vector_information
from .memorisation import memorisation
from .preparation import without_constants
from .result import Information
from .verdict import summary

NEIGHBOURS = 5
LEAST_SPEAKERS = 3


def quality(
    synthetic: Any,
    synthetic_labels: Any,
    real: Any,
    real_labels: Any,
    *,
    groups: Any = None,
    text: Any = None,
    synthetic_text: Any = None,
    training: Any = None,
    training_labels: Any = None,
    training_groups: Any = None,
    n_permutations: int = 0,
    seed: int = 0,
) -> Scores:
    """Scores synthetic features against real ones that the generator has not seen.

    Args:
        synthetic: (rows, columns).
        synthetic_labels: (rows,).
        real: (rows', columns), best of unseen speakers.
        real_labels: (rows',).
        groups: (rows',), speakers of the real rows: held out together (`speakers_held_out`) if there are three or
            more and every class has two of them; else rows are, since one speaker calibrates no classifier for another.
        text: (rows', T), text vectors of the real rows, for I(t; h) and I((c, t); h).
        synthetic_text: (rows, T), the text vectors that the synthetic rows were generated for.
        training: (rows'', columns), what the generator was trained on: gives `carried_real` its training rows, and
            with real rows of the same speakers as `real`, memorisation.
        training_labels: (rows'',).
        training_groups: (rows'',), speakers of the training rows.
        n_permutations: refitted permutations behind each `..._null_95`.
        seed: of every draw.

    Returns:
        One flat dict: floats, and `summary` in words. Information in nats. Keys are listed in README.md.

    Raises:
        ValueError: unusable input; the message says what to do.
    """
    n_permutations, seed = check_count("n_permutations", n_permutations, 0), check_count("seed", seed, 0)
    fake, held = as_matrix("synthetic", synthetic), as_matrix("real", real)
    check_columns("synthetic", fake, "real", held)
    as_codes("synthetic_labels", synthetic_labels, len(fake))
    as_codes("real_labels", real_labels, len(held))
    without_constants("synthetic", fake)
    if groups is not None:
        as_codes("groups", groups, len(held))
    if training is not None:
        if training_labels is None:
            raise ValueError("training is given without training_labels; wanted the labels of its rows")
        training = as_matrix("training", training)
        check_columns("training", training, "real", held)
        as_codes("training_labels", training_labels, len(training))
        if training_groups is not None:
            as_codes("training_groups", training_groups, len(training))
    options: dict[str, Any] = {"n_permutations": n_permutations, "seed": seed}
    apart = groups if can_be_held_out(real_labels, groups, len(held)) else None
    out = Scores(
        rows_real=float(len(held)), rows_synthetic=float(len(fake)), speakers_held_out=float(apart is not None)
    )
    note(out, "carried", carried_information(fake, synthetic_labels, held, real_labels, groups, **options))
    if training is not None:
        note(out, "carried_real", carried_information(training, training_labels, held, real_labels, groups, **options))
    else:
        note(out, "carried_real", cross_fitted_carried(held, real_labels, apart, seed=seed))
    note(out, "information_real", label_information(real_labels, held, groups=apart, **options))
    note(out, "information_synthetic", label_information(synthetic_labels, fake, **options))
    for side, vectors, labels, rows in (
        ("real", text, real_labels, held),
        ("synthetic", synthetic_text, synthetic_labels, fake),
    ):
        if vectors is not None:
            note(out, f"text_information_{side}", vector_information(vectors, rows, **options))
            note(out, f"joint_information_{side}", joint_information(labels, vectors, rows, **options))
    out.update(spread_and_overlap(fake, synthetic_labels, held, real_labels, seed))
    seen = held if training is None else np.concatenate([held, training])
    out["identical_rows"] = float(np.mean(np.isin(row_keys(fake), row_keys(seen))))
    if training is not None:
        out.update(copies(fake, training, training_groups, held, groups, seed))
    out["summary"] = summary(out)
    return out


def can_be_held_out(labels: Any, groups: Any, rows: int) -> bool:
    """Whether there are LEAST_SPEAKERS `groups` (rows,) and each class of `labels` (rows,) occurs in at least two."""
    if groups is None:
        return False
    codes, names = as_codes("real_labels", labels, rows)
    speakers = as_codes("groups", groups, rows)[0]
    return int(speakers.max()) + 1 >= LEAST_SPEAKERS and all(
        len(np.unique(speakers[codes == code])) > 1 for code in range(len(names))
    )


def note(out: dict[str, float | str], name: str, found: Information) -> None:
    """Writes an `Information` into `out` under keys that begin with `name`."""
    out[name] = found.raw
    out[f"{name}_low"], out[f"{name}_high"] = found.interval
    if math.isfinite(found.null_95):
        out[f"{name}_null_95"] = found.null_95
    if math.isfinite(found.entropy) and "label_entropy" not in out:
        out["label_entropy"] = found.entropy


def spread_and_overlap(
    fake: np.ndarray, fake_labels: Any, real: np.ndarray, real_labels: Any, seed: int
) -> dict[str, float | str]:
    """Distances and diversity in the features' own scale, as prdc and others do; only the real mean is taken away."""
    mean = real.mean(axis=0, dtype=np.float64)
    a, b = real - mean, fake - mean
    distance = frechet(a, b, seed=seed)
    near = neighbourhood(a, b, k=min(NEIGHBOURS, len(a) - 2, len(b) - 2))
    rows = min(len(a), len(b))
    rng = np.random.default_rng(seed)
    pick_a, pick_b = rng.permutation(len(a))[:rows], rng.permutation(len(b))[:rows]
    nonzero = [s[np.linalg.norm(s, axis=1) > 0] for s in (a[pick_a], b[pick_b])]
    return {
        "frechet": distance.distance,
        "frechet_floor": distance.floor,
        "frechet_floor_95": distance.floor_95,
        "precision": near.precision,
        "recall": near.recall,
        "density": near.density,
        "coverage": near.coverage,
        "vendi_real": vendi_score(nonzero[0]),
        "vendi_synthetic": vendi_score(nonzero[1]),
        "variance_ratio": within_variance(b, fake_labels) / within_variance(a, real_labels),
        "train_synthetic_test_real": transfer_recall(fake, fake_labels, real, real_labels),
        "train_real_test_synthetic": transfer_recall(real, real_labels, fake, fake_labels),
    }


def row_keys(x: np.ndarray) -> np.ndarray:
    """One comparable value (rows,) for each row of `x` (rows, columns), equal for equal rows only."""
    rows = np.ascontiguousarray(x, dtype=np.float32)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).reshape(-1)


def within_variance(x: np.ndarray, labels: Any) -> float:
    """Variance within the classes, summed over the columns, each class of at least two rows weighing the same."""
    codes, names = as_codes("labels", labels, len(x))
    parts = [x[codes == c] for c in range(len(names))]
    return float(np.mean([part.var(axis=0, ddof=1).sum() for part in parts if len(part) > 1]))


def copies(
    fake: np.ndarray, training: Any, training_groups: Any, real: np.ndarray, groups: Any, seed: int
) -> dict[str, float | str]:
    """Memorisation against real rows of the training speakers; empty when the real rows are of other speakers only."""
    seen = as_matrix("training", training, 4)
    if groups is None or training_groups is None:
        return {}
    codes, names = as_codes("groups", groups, len(real))
    speakers = names.astype(str)[codes]
    known = np.isin(speakers, as_codes("training_groups", training_groups, len(seen))[1].astype(str))
    if known.sum() < 4:
        return {}
    found = memorisation(
        fake, seen, real[known], training_speakers=training_groups, withheld_speakers=speakers[known], seed=seed
    )
    return {
        "memorised": found.share,
        "memorised_null_mean": found.null_mean,
        "memorised_null_95": found.null_95,
        "memorised_mirrored": found.mirrored,
        "memorised_excess_95": found.excess_null_95,
        "nearer_than_withheld": found.nearer,
    }
