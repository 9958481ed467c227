"""One cell of a study: every in-corpus method with the same budget of choices, all made inside the training speakers.

The plain classifiers choose encoder layers, family and setting. An augmentation in their space goes with the family and
setting that were chosen, and chooses its ratio of synthetic to real rows, down to none (`mise_hf.benchmark.ratio`). In
the inner folds every recipe is made anew, trained ones with a quarter of the steps. The aligned space has an LDA of its
own, its shrinkage chosen inside as well; its methods fall back on the best plain classifier where they do not show a
gain over it inside, so that no method can lose much to it. Generators whose moments are re-estimated
(`mise_hf.benchmark.re_estimated`) have a head of their own, alone and beside the best plain classifier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mise_hf.benchmark import recipes
from mise_hf.benchmark.adapted import MEASURED_ROWS_OF_A_CLASS, WITH_PLAIN, measure_adapted, plain_scores, run_adapted
from mise_hf.benchmark.folds import require_apart
from mise_hf.benchmark.measures import SyntheticMeasures, measure_real, measure_synthetic
from mise_hf.benchmark.place import Draw, Place, Recipe, aligned_place, encoder_place
from mise_hf.benchmark.plain import BEST, SETTINGS, Choice, TunedPlain, chosen, fit_scores, inner_splits, tune_plain
from mise_hf.benchmark.ratio import augmented, best_above, inner_uars, pooled, scores_by_ratio, wanted_rows
from mise_hf.benchmark.re_estimated import RE_ESTIMATED, own_generator
from mise_hf.benchmark.statistics import unweighted_average_recall
from mise_hf.benchmark.weighted import CLASS_WEIGHTS, FOCAL, class_weights, focal_loss
from mise_hf.features import FeatureTable
from mise_hf.metrics.mise_quality.information import label_information

ALIGNED_PLAIN = "aligned space, no augmentation"
WEIGHTED = (CLASS_WEIGHTS, FOCAL)
# Of a generator's steps that it gets in an inner fold, one in so many.
INNER_STEPS = 4
ALIGNER_STEPS = 300


def method_names(table: FeatureTable) -> tuple[str, ...]:
    """The methods beside the plain classifiers that can be run on these features, here."""
    return (*WEIGHTED, *RE_ESTIMATED, *recipes.offered_for(table))


@dataclass
class StudyCell:
    """Test predictions by method, what was chosen, and measures of synthetic rows (nats)."""

    predictions: dict[str, np.ndarray] = field(default_factory=dict)
    choices: dict[str, Any] = field(default_factory=dict)
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class _Inside:
    """The inner folds of a cell in one space, the cell itself, and the head of that space."""

    splits: Sequence[Place]
    final: Place
    head: Choice
    labels: np.ndarray
    speakers: np.ndarray

    @property
    def unaugmented(self) -> np.ndarray:
        """Inner log probabilities of the head without augmentation."""
        assert self.head.inner_scores is not None
        return self.head.inner_scores


def run_study_cell(
    train: FeatureTable,
    test: FeatureTable,
    *,
    licence: str,
    seed: int,
    steps: int,
    development: FeatureTable | None = None,
    methods: Sequence[str] = (),
    planted: Mapping[str, Recipe] | None = None,
    measure: bool = True,
) -> StudyCell:
    """Train and test every method.

    Args:
        train: rows of the training speakers; every class at least twice.
        test: rows of other speakers.
        licence: of the corpus.
        seed: of every draw and training.
        steps: optimiser steps of each generator.
        development: rows of the corpus's own split on which everything is chosen; None for inner folds of speakers.
        methods: those of `method_names` to run; all where empty.
        planted: further recipes in the encoder space, e.g. to check the benchmark itself.
        measure: take I(c; h), carried information and spread of the generators' rows.

    Raises:
        ValueError: where training has seen a test speaker or clip, or for an unknown method.
    """
    require_apart(train, test, development)
    known = method_names(train)
    unknown = sorted(set(methods) - set(known))
    if unknown:
        raise ValueError(f"the methods {unknown} are unknown here; wanted some of {list(known)}")
    wanted = [name for name in known if not methods or name in methods]
    plain = tune_plain(train, seed, development)
    scores = plain.scores(test, seed)
    cell = StudyCell(plain.named(scores))
    cell.choices = {
        "layers": list(plain.layers),
        "family": plain.best.family,
        "setting": plain.best.setting,
        "inner_uar": plain.best.inner_uar,
        "inner_folds": "development rows" if development is not None else "speakers",
        "methods": {},
    }
    splits = inner_splits(train, development)
    inside = _encoder(splits, train, test, plain, licence, seed, steps)
    for name in wanted:
        if name in WEIGHTED:
            places = (inside.splits, inside.labels, inside.final)
            found = focal_loss(*places, seed=seed) if name == FOCAL else class_weights(*places, plain, cell.predictions)
            cell.predictions[name], cell.choices["methods"][name] = found.predictions, found.choice
    beside = plain_scores(plain, scores[plain.best.family], train, development)
    for name in [name for name in RE_ESTIMATED if name in wanted]:
        generator = own_generator(name, train, licence=licence, seed=seed, steps=steps)
        adapted = run_adapted(generator, train, test, beside, seed=seed, development=development)
        cell.predictions |= {name: adapted.alone, name + WITH_PLAIN: adapted.beside}
        cell.choices["methods"][name] = {**asdict(adapted.transfer.settings), "weight": adapted.weight}
        if measure:
            cell.measures[name] = measure_adapted(adapted.rows, test, seed)
    offered = {name: recipe for name, recipe in recipes.ENCODER.items() if name in wanted} | dict(planted or {})
    if offered:
        _augmentations(cell, offered, inside, inside.unaugmented, test if measure else None)
    aligned = {name: recipe for name, recipe in recipes.ALIGNED.items() if name in wanted}
    if aligned:
        space = _aligned(splits, train, test, licence, seed, steps)
        cell.predictions[ALIGNED_PLAIN] = _fit(space.head, space.final).argmax(1)
        cell.choices["methods"][ALIGNED_PLAIN] = {"setting": space.head.setting, "inner_uar": space.head.inner_uar}
        _augmentations(cell, aligned, space, inside.unaugmented, test if measure else None)
    return cell


def _encoder(
    splits: Sequence[tuple[FeatureTable, FeatureTable]],
    train: FeatureTable,
    test: FeatureTable,
    plain: TunedPlain,
    licence: str,
    seed: int,
    steps: int,
) -> _Inside:
    made: dict[str, Any] = {"licence": licence, "seed": seed}
    few = max(1, steps // INNER_STEPS)
    places = [encoder_place(fit, held, plain.layers, steps=few, **made) for fit, held in splits]
    final = encoder_place(train, test, plain.layers, steps=steps, **made)
    return _Inside(places, final, plain.best, *_truth(splits))


def _aligned(
    splits: Sequence[tuple[FeatureTable, FeatureTable]],
    train: FeatureTable,
    test: FeatureTable,
    licence: str,
    seed: int,
    steps: int,
) -> _Inside:
    made: dict[str, Any] = {"licence": licence, "seed": seed, "aligner_steps": min(ALIGNER_STEPS, steps)}
    few = max(1, steps // INNER_STEPS)
    places = [aligned_place(fit, held, steps=few, **made) for fit, held in splits]
    labels, speakers = _truth(splits)
    offered = [
        chosen("lda", setting, np.concatenate([_fit(Choice("lda", setting), place) for place in places]), labels)
        for setting in SETTINGS["lda"]
    ]
    final = aligned_place(train, test, steps=steps, **made)
    return _Inside(places, final, min(offered, key=lambda choice: choice.inner_loss), labels, speakers)


def _truth(splits: Sequence[tuple[FeatureTable, FeatureTable]]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and speakers of the inner held rows, one fold behind the other."""
    return (
        np.concatenate([held.labels for _, held in splits]),
        np.concatenate([held.speakers for _, held in splits]),
    )


def _fit(head: Choice, place: Place) -> np.ndarray:
    """Log probabilities of the place's held rows by the head fitted on its real rows."""
    return fit_scores(head.family, head.setting, place.features, place.table.labels, place.seed)(place.held)


def _augmentations(
    cell: StudyCell, offered: Mapping[str, Recipe], inside: _Inside, baseline: np.ndarray, test: FeatureTable | None
) -> None:
    """Each recipe's ratio and test predictions; `baseline` is what a ratio has to beat inside.

    With `test`, the table of the final place's held rows, measures too.
    """
    final, classes = inside.final, len(inside.final.table.label_names)
    aligned = final.aligner is not None
    measured: list[str] = []
    if test is not None and any(name in recipes.MEASURED for name in offered):
        measures = SyntheticMeasures(final.features, final.table, final.held, test, final.seed, information=False)
        measured = [name for name in offered if name in recipes.MEASURED]
        cell.measures["real rows" + ("" if aligned else " in the encoder space")] = measure_real(measures)
    for name, recipe in offered.items():
        candidates = pooled([scores_by_ratio(inside.head, place, recipe(place), place.seed) for place in inside.splits])
        if aligned:
            candidates = {0.0: inside.unaugmented} | candidates
        ratio = best_above(candidates, baseline, inside.labels, inside.speakers)
        uars = {"best plain": unweighted_average_recall(inside.labels, baseline.argmax(1))} | {
            f"{tried:g}": uar for tried, uar in inner_uars(candidates, inside.labels).items()
        }
        cell.choices["methods"][name] = {
            "ratio": ratio or 0.0,
            "space": "aligned" if aligned and ratio is not None else "encoder",
            "inner_uar": uars,
        }
        cell.predictions[name] = cell.predictions[BEST]
        if ratio == 0:
            cell.predictions[name] = cell.predictions[ALIGNED_PLAIN]
        draw: Draw | None = recipe(final) if ratio or name in measured else None
        if ratio and draw is not None:
            emotions = wanted_rows(len(final.table), classes, float(ratio))
            scores = augmented(inside.head, final, draw(emotions, final.seed), emotions, final.seed)
            cell.predictions[name] = scores.argmax(1)
        if name in measured and draw is not None:
            cell.measures[name] = _measure(measures, draw, classes)


def _measure(against: SyntheticMeasures, draw: Draw, classes: int) -> dict[str, Any]:
    """Spread, carried information and I(c; h) in nats of as many synthetic rows as there are training rows."""
    emotions = wanted_rows(len(against.features), classes, 1.0)
    found = measure_synthetic(against, lambda seed: draw(emotions, seed), emotions)
    some = emotions[: MEASURED_ROWS_OF_A_CLASS * classes]
    return found | {"label_information": label_information(some, draw(some, against.seed), seed=against.seed).raw}
