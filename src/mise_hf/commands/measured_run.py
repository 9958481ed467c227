"""What the generator of a finished run carries to speakers that it has not heard: `results.json` beside its weights.

All of it is held against the speakers that the training left out (`exclude_speakers`); nothing is measured on a speaker
that the generator, or its aligner, has heard, but memorisation, which is about these: the same training is done again
on three quarters of its rows, and the last quarter says how near a new utterance of the same speakers lies.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mise_hf.benchmark.measures import (
    SyntheticMeasures,
    mean_carried,
    measure_memorisation,
    measure_real,
    measure_synthetic,
)
from mise_hf.features import FeatureTable, open_table
from mise_hf.metrics.command import require_unheard
from mise_hf.models.modeling_mise_aligner import MiseAligner
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.generator import make_generator, train_generator
from mise_hf.training.rows import (
    TrainingRows,
    load_checkpoint,
    load_table,
    rows_in_aligned_space,
    rows_in_encoder_space,
    table_digest,
)
from mise_hf.training.run_folder import CONFIG_FILE, MODEL_FILE

RESULTS = "results.json"
REAL, MADE = "real rows", "MISE"
# More rows change no figure that is shown, and take hours: nearest neighbours are quadratic.
MOST_ROWS = 10_000
# Where a run lies and is read from: of this machine, and nothing that was measured depends on it.
LOCAL = ("features", "output_dir", "aligner", "overwrite", "resume", "save_every")
PACKAGES = ("mise-hf", "torch", "transformers", "numpy", "scikit-learn")


@dataclass(frozen=True)
class RunOfGenerator:
    """A finished run, read back: its arguments, its generator and aligner, its training rows and the unheard ones."""

    folder: Path
    arguments: GeneratorArguments
    generator: MiseGenerator
    aligner: MiseAligner | None
    train: FeatureTable
    unheard: FeatureTable


def measure_run(folder: Path, seed: int = 0) -> dict[str, Any]:
    """Measure the generator of a run and write `results.json` into its folder; returns what it holds.

    Raises:
        ValueError: for a folder without a finished generator, features that are no longer those of the training, or no
            speakers left out of it.
    """
    started = time.perf_counter()
    run = read_run(folder)
    train, unheard = draw_rows(run.train, seed), draw_rows(run.unheard, seed)
    names = train.label_names
    features, test = (in_space_of(run, table) for table in (train, unheard))
    # In the generator's own space: one fitted on fewer rows would differ.
    rows = replace(training_rows(run, train), features=torch.from_numpy(features), space=run.generator.space)
    wanted = np.arange(len(train)) % len(names)
    against = SyntheticMeasures(features, train, test, unheard, seed)
    made = measure_synthetic(against, drawer(run.generator, rows, wanted), wanted)
    # Where training began: class means and the shared covariance of the same rows.
    start = make_generator(rows, run.arguments, label_names=names)
    target = torch.cat([rows.features, rows.text], dim=1) if run.arguments.paired else rows.features
    start.start_from(target, rows.labels, rows.speakers)
    real = measure_real(against)
    made["carried_information_before_training"] = mean_carried(against, drawer(start, rows, wanted), wanted)
    made["memorisation"] = memorisation_of_recipe(run, train, seed)
    results = {
        "command": f"mise-hf measure {folder.name}",
        "machine": {"system": platform.platform(terse=True), "processor": platform.machine(), "cores": os.cpu_count()},
        "versions": {package: version(package) for package in PACKAGES},
        "seed": seed,
        "corpora": run.generator.config.training_corpora,
        "fingerprint": run.train.fingerprint,
        "label_names": list(names),
        "unheard_speakers": sorted(set(map(str, run.unheard.speakers))),
        "measured_on": f"{len(unheard)} utterances of the speakers {', '.join(sorted(set(map(str, unheard.speakers))))}"
        f", whom the generator has not heard, and {len(train)} of its {len(run.train)} training utterances",
        "cells": [{"share": 1.0, "measures": {REAL: real, MADE: made}}],
        "mutual_information": {
            rows: {key: found["label_information"][key] for key in ("value", "null_95")}
            for rows, found in (("real", real), ("synthetic", made))
        },
        "carried_information": {"real": real["carried_information"], "synthetic": made["carried_information"]},
        "quality": quality_of(real, made),
        "memorisation": made["memorisation"],
        "training": {name: value for name, value in run.arguments.as_dict().items() if name not in LOCAL},
        "seconds": round(time.perf_counter() - started, 1),
    }
    draft = folder / f".{RESULTS}"
    draft.write_text(json.dumps(results, indent=1), encoding="utf-8")
    draft.replace(folder / RESULTS)
    return results


def read_run(folder: Path) -> RunOfGenerator:
    """The run and its rows; errors as in `measure_run`."""
    if not (folder / CONFIG_FILE).is_file() or not (folder / MODEL_FILE).is_file():
        raise ValueError(
            f"{str(folder)!r} holds no finished training; wanted the folder of `mise-hf train generator` (a demo's run "
            "has its results already)"
        )
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind != "mise_generator":
        raise ValueError(f"{str(folder)!r} holds a {kind}; wanted a generator's run")
    trained_on = config.pop("data")
    arguments = GeneratorArguments(**config)
    whole = open_table(arguments.features)
    if not arguments.exclude_speakers:
        raise ValueError(
            f"{str(folder)!r} was trained on every speaker of {arguments.features!r}, so that none is left to measure "
            f"on; train with --exclude_speakers and some of {sorted(set(map(str, whole.speakers)))}"
        )
    train = load_table(arguments.features, arguments.exclude_speakers)
    aligner = load_checkpoint(MiseAligner, arguments.aligner).eval() if arguments.aligner else None
    # A stream's digest is of names and sizes.
    if not arguments.stream and table_digest(train, aligner) != trained_on:
        raise ValueError(
            f"{arguments.features!r} or the aligner is not what {str(folder)!r} was trained on any more; train again"
        )
    unheard = whole.select(np.isin(whole.speakers.astype(str), arguments.exclude_speakers))
    generator = MiseGenerator.from_pretrained(folder).eval()
    require_unheard(generator.config.training_corpora, unheard, "the generator", vouched=False)
    return RunOfGenerator(folder, arguments, generator, aligner, train, unheard)


def draw_rows(table: FeatureTable, seed: int) -> FeatureTable:
    """The table, or MOST_ROWS of it drawn at random."""
    if len(table) <= MOST_ROWS:
        return table
    return table.select(np.sort(np.random.default_rng(seed).permutation(len(table))[:MOST_ROWS]))


def training_rows(run: RunOfGenerator, table: FeatureTable) -> TrainingRows:
    """Rows as the run's training would make them of `table`."""
    arguments = run.arguments
    wants_text = arguments.text or arguments.paired
    if run.aligner is not None:
        return rows_in_aligned_space(table, run.aligner, wants_text)
    return rows_in_encoder_space(table, arguments.layers, arguments.feature_size, wants_text)


@torch.no_grad()
def in_space_of(run: RunOfGenerator, table: FeatureTable) -> np.ndarray:
    """Real rows in the space that the run's generator makes them in, float32 (rows, feature size)."""
    if run.aligner is not None:
        return rows_in_aligned_space(table, run.aligner).features.numpy()
    states = torch.from_numpy(table.layer(run.generator.config.state_layers))
    return run.generator.space.project(states).numpy()


def drawer(generator: MiseGenerator, rows: TrainingRows, wanted: np.ndarray) -> Callable[[int], np.ndarray]:
    """Seed -> synthetic rows of the wanted emotions; a generator that reads text gets texts of the training rows."""

    def draw(seed: int) -> np.ndarray:
        source, text = torch.Generator().manual_seed(seed), None
        if generator.config.text_size:
            text = rows.text[torch.randint(len(rows.text), (len(wanted),), generator=source)]
        return generator.generate(torch.from_numpy(wanted), text, generator=source).features.numpy()

    return draw


def memorisation_of_recipe(run: RunOfGenerator, train: FeatureTable, seed: int) -> dict[str, Any]:
    """Memorisation of a generator trained alike on three quarters of the rows, against the last quarter.

    A generator trained on every row leaves none of its speakers' rows to hold its own against.
    """
    kept = np.sort(np.random.default_rng(seed).permutation(len(train))[: 3 * len(train) // 4])
    part, withheld = train.select(kept), train.select(np.setdiff1d(np.arange(len(train)), kept))
    rows = training_rows(run, part)
    generator = train_generator(rows, replace(run.arguments, stream=False), label_names=train.label_names)
    again = replace(run, generator=generator)
    wanted = np.arange(len(part)) % len(part.label_names)
    made = drawer(generator, rows, wanted)(seed)
    # Only of speakers whom the three quarters have too.
    withheld = withheld.select(np.isin(withheld.speakers, part.speakers))
    return measure_memorisation(made, in_space_of(again, part), part, in_space_of(again, withheld), withheld)


def quality_of(real: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """The figures of the printed summary, and of the report's."""
    names = ("carried_information", "carried_information_before_training", "recall", "within_class_variance_ratio")
    return {
        **{name: made[name] for name in names},
        "carried_information_of_real_rows": real["carried_information"],
        "carried_share": made["carried_information"] / real["carried_information"],
        "memorisation": made["memorisation"],
        "label_information": made["label_information"],
        "label_information_of_unseen_speakers": real["label_information"],
    }
