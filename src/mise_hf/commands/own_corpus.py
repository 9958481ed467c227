"""`mise-hf demo --corpus clips.csv`: does augmentation help on the user's own clips? Small and honest.

Prepares, extracts, leaves speakers out, and holds the rows of a generator and of a plain Gaussian against the best
plain classifier; whatever is chosen is chosen inside the training speakers. Leaves features, generator, head,
predictions and results.
"""

import json
import os
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from mise_hf.benchmark.controls import class_gaussian
from mise_hf.benchmark.folds import require_unseen, speaker_folds
from mise_hf.benchmark.measures import SyntheticMeasures, measure_memorisation, measure_real, measure_synthetic
from mise_hf.benchmark.plain import (
    BEST,
    COMPONENTS,
    Choice,
    TunedPlain,
    fit_plain,
    inner_folds,
    project,
    save_head,
    tune_plain,
)
from mise_hf.benchmark.sharing import train_shared
from mise_hf.benchmark.summary import prediction_rows, summarise
from mise_hf.features import FeatureTable
from mise_hf.features.provenance import training_corpora
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.training.arguments import GeneratorArguments
from mise_hf.training.rows import check_trainable, rows_in_encoder_space

FOLDS, STEPS = 5, 500
# Encoder layers that are pooled, evenly spread: the last is seldom the best, and each costs a tuning.
MOST_LAYERS = 6
# Where the training speakers are too few to choose anything by leaving some of them out.
UNTUNED = Choice("lda", 0.5)
GAUSSIAN, GENERATOR, REAL = "class Gaussian", "MISE in the encoder space", "real rows"
PREPARED, FEATURES, RESULTS = "prepared", "features", "results.json"
OUTPUTS = (PREPARED, FEATURES, "generator", "ser", "predictions.parquet", RESULTS, "report.html")
PACKAGES = ("mise-hf", "torch", "transformers", "datasets", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Fold:
    """One fold done: its tables, its plain classifier, its generator, and the test predictions by method."""

    train: FeatureTable
    test: FeatureTable
    plain: TunedPlain
    generator: MiseGenerator
    predictions: dict[str, np.ndarray]


def run_own_corpus(
    manifest: Path,
    audio_encoder: str,
    out: Path,
    *,
    columns: Mapping[str, str] | None = None,
    licence: str = "unstated",
    seed: int = 0,
    steps: int = STEPS,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Run everything into `out`; returns what `results.json` holds. An interrupted extraction is gone on with.

    Args:
        manifest: .csv, .tsv, .jsonl or .parquet with audio, label and speaker of each clip.
        audio_encoder: Hub id or folder.
        out: folder to write.
        columns: field to column, for columns of other names.
        licence: of the clips, recorded in checkpoints and results.
        seed: of every draw.
        steps: optimiser steps of each generator.
        overwrite: replace a finished run.

    Raises:
        ValueError: for clips without speakers or with too few, emotions of too few clips or speakers, or a folder
            that holds something else.
    """
    started = time.perf_counter()
    prepare_folder(out, overwrite)
    table = extract_clips(manifest, audio_encoder, out, columns)
    check_trainable(table.speakers, table.labels, table.label_names)
    splits = list(speaker_folds(table.speakers, min(FOLDS, len(set(table.speakers)))))
    _check_classes(table, splits)
    bar = tqdm(splits, desc="folds", unit="fold", disable=None)
    folds = [run_fold(table.select(fit), table.select(held), seed, steps) for fit, held in bar]
    frame = pd.concat(
        [prediction_rows("in-corpus", 1.0, n, fold.test, fold.predictions) for n, fold in enumerate(folds)],
        ignore_index=True,
    )
    frame.to_parquet(out / "predictions.parquet", index=False)
    methods = summarise(frame, BEST)
    corpora = training_corpora(table, licence)
    plain = choose_plain(table, seed)
    train_source(table, plain, licence=licence, seed=seed, steps=steps).save_pretrained(out / "generator")
    save_head(
        plain, label_names=table.label_names, fingerprint=table.fingerprint, corpora=corpora, seed=seed
    ).save_pretrained(out / "ser")
    measures = measure(folds[0], seed) | {"memorisation": memorisation_of_recipe(table, plain, seed, steps)}
    results: dict[str, Any] = {
        "command": f"mise-hf demo --corpus {manifest.name} --audio-encoder {table.fingerprint['audio_encoder']['id']} "
        f"--seed {seed} --steps {steps}",
        "machine": {"system": platform.platform(terse=True), "processor": platform.machine(), "cores": os.cpu_count()},
        "versions": {package: version(package) for package in PACKAGES},
        "seed": seed,
        "steps": steps,
        "corpora": corpora,
        "fingerprint": table.fingerprint,
        "label_names": list(table.label_names),
        "in_corpus": {"1.0": {"baseline": BEST, "methods": methods}},
        "cells": [{"share": 1.0, "fold": 0, "measures": {REAL: measures["real"], GENERATOR: measures["synthetic"]}}],
        "published_method": BEST,
        "uar_note": f"{len(folds)} folds of unseen speakers; the saved checkpoints were trained on all clips",
        "uar": {
            name: {"mean": entry["uar_mean"], "std": entry["uar_std"], "folds": len(folds), "seeds": 1}
            for name, entry in methods.items()
        },
        "carried_information": {
            rows: measures[rows]["carried_information"]
            for rows in ("real", "synthetic")
            if "carried_information" in measures[rows]
        },
        "memorisation": measures["memorisation"],
        "training": {"steps": steps, "seed": seed},
        "verdicts": verdicts(methods, table, untuned=sum(fold.plain.best is UNTUNED for fold in folds)),
        "seconds": round(time.perf_counter() - started, 1),
    }
    results["cells"][0]["measures"][GENERATOR]["memorisation"] = measures["memorisation"]
    (out / RESULTS).write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


def prepare_folder(out: Path, overwrite: bool) -> None:
    """Make `out`, empty it of a finished run, or leave what an interrupted one extracted.

    Raises:
        ValueError: where it holds a finished run that is not to be overwritten, or anything else.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; wanted a folder to write")
    there = {path.name for path in out.iterdir()} if out.exists() else set()
    foreign = sorted(there - set(OUTPUTS))
    if foreign:
        raise ValueError(f"{out} holds {foreign[:5]}, which is no run of ours; choose another --out")
    if RESULTS in there and not overwrite:
        raise ValueError(f"{out} already holds a run; choose another --out or give --overwrite")
    for name in there if overwrite else ():
        path = out / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot write to {out}: {error.strerror}; wanted a writable folder") from error


def extract_clips(
    manifest: Path, audio_encoder: str, out: Path, columns: Mapping[str, str] | None = None
) -> FeatureTable:
    """Prepare the manifest and pool up to six layers of the encoder over every clip.

    Raises:
        ValueError: for a manifest without speakers, or an encoder that does not load.
    """
    from transformers import AutoConfig

    from mise_hf.corpora import read_corpus, write_prepared
    from mise_hf.features.encoders import load_audio_encoder
    from mise_hf.features.extraction import extract
    from mise_hf.models.pooling_mise import encoder_num_layers

    corpus = read_corpus("manifest", manifest, columns=dict(columns or {}))
    mute = sum(1 for row in corpus.utterances if not row.speaker)
    if mute:
        raise ValueError(
            f"{manifest.name} names no speaker in {mute} of {len(corpus)} rows; wanted one in every row, or no test is "
            "speaker-independent: add a column `speaker`, or name yours with --column speaker=COLUMN"
        )
    try:
        blocks = encoder_num_layers(AutoConfig.from_pretrained(audio_encoder))
    except OSError as error:
        raise ValueError(f"the encoder {audio_encoder!r} cannot be loaded from the Hub or a folder: {error}") from error
    write_prepared(corpus, out / PREPARED, overwrite=True)
    encoder = load_audio_encoder(audio_encoder, spread_layers(blocks))
    extract(out / PREPARED, out / FEATURES, encoder, progress=os.isatty(2))
    return FeatureTable.from_folder(out / FEATURES)


def spread_layers(blocks: int) -> list[int]:
    """Up to six of the layers 1 to `blocks`, evenly spread, the last among them."""
    return sorted({round(place) for place in np.linspace(1, blocks, min(blocks, MOST_LAYERS))})


def _check_classes(table: FeatureTable, splits: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Every emotion must be known from other speakers than those of its test."""
    every = set(range(len(table.label_names)))
    lacking = {table.label_names[label] for fit, _ in splits for label in every - set(table.labels[fit].tolist())}
    if lacking:
        raise ValueError(
            f"{sorted(lacking)} would have no training clip in some fold: too few speakers have them; drop or merge "
            "them in the manifest"
        )


def choose_plain(train: FeatureTable, seed: int) -> TunedPlain:
    """The plain classifier chosen inside the training speakers; with too few of them LDA on the middle layer."""
    if len(set(train.speakers)) > 1 and inner_folds(train):
        return tune_plain(train, seed)
    middle = train.audio_layers[(len(train.audio_layers) - 1) // 2]
    rows = rows_in_encoder_space(train, middle, COMPONENTS)
    return TunedPlain(rows.layers, [UNTUNED], rows)


def train_source(
    train: FeatureTable, plain: TunedPlain, *, licence: str = "unstated", seed: int, steps: int
) -> MiseGenerator:
    """Where the synthetic rows come from: a generator of these training rows, in the encoder space."""
    arguments = GeneratorArguments(steps=steps, seed=seed, layers=list(plain.layers))
    return train_shared(train, arguments, licence=licence)


def draw(generator: MiseGenerator, wanted: np.ndarray, seed: int) -> torch.Tensor:
    """Synthetic features (rows, feature size) of the wanted emotions, in the generator's space."""
    return generator.generate(torch.from_numpy(wanted), generator=torch.Generator().manual_seed(seed)).features


def run_fold(train: FeatureTable, test: FeatureTable, seed: int, steps: int) -> Fold:
    """Plain classifiers, and the best of them with as many synthetic rows as real ones, on unseen speakers."""
    require_unseen(train, test)
    plain = choose_plain(train, seed)
    features, labels = plain.rows.features.numpy(), train.labels
    wanted = np.arange(len(labels)) % len(train.label_names)
    predictions = plain.predict(test, seed)
    generator = train_source(train, plain, seed=seed, steps=steps)
    # Both spaces standardise by the same rows, so a generated feature passes over through the standardised states.
    assert generator.space is not None and plain.rows.space is not None
    lifted = (generator.space.lift(draw(generator, wanted, seed)) @ plain.rows.space.components.t()).numpy()
    for name, made in ((GAUSSIAN, class_gaussian(features, labels, wanted, seed)), (GENERATOR, lifted)):
        predict = fit_plain(
            plain.best.family,
            plain.best.setting,
            np.concatenate([features, made.astype(np.float32)]),
            np.concatenate([labels, wanted]),
            seed,
        )
        predictions[name] = predict(project(plain.rows, test.layer(plain.layers)))
    return Fold(train, test, plain, generator, predictions)


def measure(fold: Fold, seed: int) -> dict[str, dict[str, Any]]:
    """What real and synthetic rows of a fold carry to its unseen speakers; the reason where nobody can tell."""
    space = fold.generator.space
    assert space is not None
    with torch.no_grad():
        real, test = (
            space.project(torch.from_numpy(table.layer(fold.plain.layers))).numpy() for table in (fold.train, fold.test)
        )
    wanted = np.arange(len(real)) % len(fold.train.label_names)
    against = SyntheticMeasures(real, fold.train, test, fold.test, seed, information=False)
    try:
        return {
            "real": measure_real(against),
            "synthetic": measure_synthetic(against, lambda s: draw(fold.generator, wanted, s).numpy(), wanted),
        }
    except ValueError as error:
        return {"real": {"not_measured": str(error)}, "synthetic": {"not_measured": str(error)}}


def memorisation_of_recipe(table: FeatureTable, plain: TunedPlain, seed: int, steps: int) -> dict[str, Any] | None:
    """Memorisation of a generator made alike from three quarters of the rows; None where the rest is too small."""
    kept = np.sort(np.random.default_rng(seed).permutation(len(table))[: 3 * len(table) // 4])
    part, withheld = table.select(kept), table.select(np.setdiff1d(np.arange(len(table)), kept))
    if len(np.unique(part.labels)) < len(table.label_names):
        return None
    generator = train_source(part, plain, seed=seed, steps=steps)
    assert generator.space is not None
    with torch.no_grad():
        features, reference = (
            generator.space.project(torch.from_numpy(rows.layer(plain.layers))).numpy() for rows in (part, withheld)
        )
    made = draw(generator, np.arange(len(part)) % len(part.label_names), seed).numpy()
    try:
        return measure_memorisation(made, features, part, reference, withheld)
    except ValueError:
        return None


def verdicts(methods: dict[str, Any], table: FeatureTable, untuned: int) -> list[str]:
    """In words, whether augmentation helped here, and what these clips cannot show."""
    speakers = len(set(table.speakers))
    said = []
    for name in (GENERATOR, GAUSSIAN):
        entry, base = methods[name], 100 * methods[BEST]["uar"]
        word = "made no difference that these speakers can show"
        if entry["p_value"] < 0.05:
            word = "helped" if entry["difference"] > 0 else "HURT"
        said.append(
            f"{name}: {word} ({100 * entry['difference']:+.1f} UAR over {base:.1f}, p = {entry['p_value']:.3f})."
        )
    if speakers < 6:
        said.append(
            f"With {speakers} speakers p cannot fall below {2 ** (1 - speakers):.3f}: no verdict, whatever the table."
        )
    if untuned:
        said.append(
            f"In {untuned} folds the training speakers were too few to choose a classifier: LDA on a middle layer."
        )
    return said
