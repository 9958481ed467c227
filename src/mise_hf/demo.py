"""`mise-hf demo`: the whole of mise_hf on the embedded EmoDB, in some minutes on two cores.

Scene 1 asks whether augmentation helps in one corpus; scene 2 lets one site share its generator with another. Leaves
three checkpoints, per-row predictions, `results.json` and a report.
"""

import json
import multiprocessing
import os
import platform
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from mise_hf.benchmark.folds import draw_share, speaker_folds
from mise_hf.benchmark.in_corpus import (
    ALIGNED_PLAIN,
    LABEL_ONLY,
    MISE,
    MISE_ENCODER,
    REAL,
    CellResult,
    memorisation_of_recipe,
    run_cell,
)
from mise_hf.benchmark.plain import BEST, save_head
from mise_hf.benchmark.sharing import ALONE, run_sharing_cell, train_site
from mise_hf.benchmark.summary import prediction_rows, summarise
from mise_hf.features import FeatureTable, load_embedded
from mise_hf.features.provenance import training_corpora

CORPUS = "emodb"
LICENCE = "CC0-1.0"
FOLDS, LOW_SHARE, SHARING_SHARES = 5, 0.3, (0.1, 0.3)
# The speakers whose recordings lie in tests/data/emodb: the saved checkpoints have not heard them, so that
# `mise-hf predict` can be tried on real recordings.
UNHEARD = ("11", "13")
STEPS = 500
IN_CORPUS, SHARING = "in-corpus", "sharing"
# What a run leaves; nothing else is ever deleted.
OUTPUTS = {"aligner", "generator", "ser", "predictions.parquet", "results.json", "report.html"}
PACKAGES = ("mise-hf", "torch", "transformers", "accelerate", "datasets", "evaluate", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Job:
    """One piece of the demo for one process: a cell of scene 1, or a direction of scene 2."""

    kind: str
    share: float = LOW_SHARE
    fold: int = 0


def run_demo(out: str | os.PathLike[str], *, overwrite: bool = False, seed: int = 0, steps: int = STEPS) -> dict:
    """Run both scenes and write everything into `out`; returns what `results.json` holds.

    Args:
        out: folder to write.
        overwrite: replace what it holds.
        seed: of every draw.
        steps: optimiser steps of each generator.

    Raises:
        ValueError: where the folder already holds something, or cannot be written.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; wanted 0 or more")
    folder = _empty_folder(Path(out), overwrite)
    table = load_embedded(CORPUS)
    started = time.perf_counter()
    jobs = [Job("full", 1.0)] + [Job("site", fold=first) for first in (0, 1)]
    jobs += [Job(IN_CORPUS, LOW_SHARE, fold) for fold in range(FOLDS)]
    done = _in_processes(jobs, lambda pool, job: pool.submit(run_job, job, seed, steps, os.fspath(folder)))
    frame = pd.concat([found["predictions"] for found in done], ignore_index=True)
    frame.to_parquet(folder / "predictions.parquet", index=False)
    cells = [found for found in done if "measures" in found]
    results = {
        "command": f"mise-hf demo (seed {seed}, {steps} steps a generator)",
        "machine": {"system": platform.platform(terse=True), "processor": platform.machine(), "cores": os.cpu_count()},
        "versions": {package: version(package) for package in PACKAGES},
        "seed": seed,
        "steps": steps,
        "corpora": [corpus | {"language": "de"} for corpus in training_corpora(table, LICENCE)],
        "unheard_speakers": list(UNHEARD),
        "fingerprint": table.fingerprint,
        "in_corpus": _summaries(frame, IN_CORPUS, BEST),
        "sharing": _summaries(frame, SHARING, ALONE),
        "cells": [{key: found[key] for key in ("share", "fold", "choices", "measures", "curves")} for found in cells],
        "projection": next(found["projection"] for found in cells if found["share"] == 1.0),
        "label_names": list(table.label_names),
        "seconds": round(time.perf_counter() - started, 1),
    }
    results["quality"] = quality_of_checkpoint(results)
    results |= for_cards(results)
    results["verdicts"] = verdicts(results)
    (folder / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


def _empty_folder(folder: Path, overwrite: bool) -> Path:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; wanted a folder to write")
    if folder.exists() and any(folder.iterdir()):
        if not overwrite:
            raise ValueError(f"{folder} already holds a run; choose another --out or give --overwrite")
        foreign = sorted(path.name for path in folder.iterdir() if path.name not in OUTPUTS)
        if foreign:
            raise ValueError(
                f"{folder} holds {foreign[:5]}, which is no run of ours: not overwritten; choose another --out"
            )
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text("{}", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror}; wanted a writable folder") from error
    return folder


def _in_processes(jobs: list[Job], submit: Callable) -> list[dict]:
    """Run the jobs, two at a time at most, each on one thread: the same numbers whatever the number of cores."""
    workers = min(2, os.cpu_count() or 1)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        futures = [submit(pool, job) for job in jobs]
        return [future.result() for future in tqdm(futures, desc="demo", unit="part", disable=None)]


def _one_thread() -> None:
    # Ctrl-C reaches every process of a terminal: the parent alone tells of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threadpool_limits(1)


def run_job(job: Job, seed: int, steps: int, folder: str) -> dict[str, Any]:
    """One job, in its own process."""
    table = load_embedded(CORPUS)
    if job.kind == "site":
        return _run_site(table, job.fold, seed, steps)
    if job.kind == "full":
        held = np.isin(table.speakers, UNHEARD)
        train_rows, test_rows = np.flatnonzero(~held), np.flatnonzero(held)
    else:
        train_rows, test_rows = list(speaker_folds(table.speakers, FOLDS))[job.fold]
    drawn = draw_share(table.labels, train_rows, job.share, seed)
    train, test = table.select(drawn), table.select(test_rows)
    withheld = None if job.share == 1 else table.select(np.setdiff1d(train_rows, drawn))
    result = run_cell(train, test, licence=LICENCE, withheld=withheld, seed=seed, steps=steps)
    if job.kind == "full":
        result.measures[MISE]["memorisation"] = memorisation_of_recipe(train, licence=LICENCE, seed=seed, steps=steps)
        save_checkpoints(result, train, seed, Path(folder))
    return {
        "share": job.share,
        "fold": job.fold,
        "predictions": prediction_rows(IN_CORPUS, job.share, job.fold, test, result.predictions),
        "measures": result.measures,
        "choices": result.choices,
        "curves": result.curves,
        "projection": _two_dimensions(result.projection),
    }


def _run_site(table: FeatureTable, first: int, seed: int, steps: int) -> dict[str, Any]:
    """Scene 2 in one direction: the site with the first five speakers, or the other, trains and shares."""
    speakers = sorted(set(table.speakers))
    half = len(speakers) // 2
    sites = [table.select(np.isin(table.speakers, part)) for part in (speakers[:half], speakers[half:])]
    giver, taker = sites[first], sites[1 - first]
    generator, sources = train_site(giver, licence=LICENCE, seed=seed, steps=steps)
    parts = []
    for share in SHARING_SHARES:
        for fold, (train_rows, test_rows) in enumerate(speaker_folds(taker.speakers, len(set(taker.speakers)))):
            train, test = taker.select(draw_share(taker.labels, train_rows, share, seed)), taker.select(test_rows)
            found = run_sharing_cell(train, test, generator, sources, seed)
            parts.append(prediction_rows(SHARING, share, first * half + fold, test, found))
    return {"predictions": pd.concat(parts, ignore_index=True)}


def save_checkpoints(result: CellResult, train: FeatureTable, seed: int, folder: Path) -> None:
    """Aligner, generator, and the head that won inside the training speakers, as `save_pretrained` folders."""
    aligner, generator, plain = result.aligner, result.generator, result.plain
    assert aligner is not None and generator is not None and plain is not None
    head = save_head(
        plain,
        label_names=train.label_names,
        fingerprint=train.fingerprint,
        corpora=training_corpora(train, LICENCE),
        seed=seed,
    )
    aligner.save_pretrained(folder / "aligner")
    generator.save_pretrained(folder / "generator")
    head.save_pretrained(folder / "ser")


def _summaries(frame: pd.DataFrame, scene: str, baseline: str) -> dict[str, Any]:
    frame = frame[frame["scene"] == scene]
    return {
        str(share): {"baseline": baseline, "methods": summarise(part, baseline)}
        for share, part in frame.groupby("share")
    }


def _two_dimensions(projection: dict[str, Any]) -> dict[str, Any]:
    """The first two principal components of the real rows, and the synthetic rows in them; emotions and speakers."""
    real, mean = projection["real"], projection["real"].mean(0)
    axes = np.linalg.svd(real - mean, full_matrices=False)[2][:2].T
    return {
        "real": np.round((real - mean) @ axes, 3).tolist(),
        "real_labels": projection["real_labels"].tolist(),
        "real_speakers": projection["real_speakers"].tolist(),
        "synthetic": np.round((projection["synthetic"] - mean) @ axes, 3).tolist(),
        "synthetic_labels": projection["synthetic_labels"].tolist(),
    }


def quality_of_checkpoint(results: dict[str, Any]) -> dict[str, Any]:
    """The saved generator against the real training rows: what it carries, and whether it is spread as they are."""
    measures = next(cell["measures"] for cell in results["cells"] if cell["share"] == 1.0)
    made, real = measures[MISE], measures[REAL]
    return {
        "carried_information": made["carried_information"],
        "carried_information_of_real_rows": real["carried_information"],
        "carried_information_before_training": made["carried_information_before_training"],
        "carried_share": made["carried_information"] / real["carried_information"],
        "recall": made["recall"],
        "within_class_variance_ratio": made["within_class_variance_ratio"],
        "memorisation": made["memorisation"],
        "label_information": made["label_information"],
        "label_information_of_unseen_speakers": real["label_information"],
    }


def for_cards(results: dict[str, Any]) -> dict[str, Any]:
    """The figures that a model card shows, in the form that `mise_hf.hub.results` reads."""
    quality = results["quality"]
    real = next(cell["measures"][REAL] for cell in results["cells"] if cell["share"] == 1.0)
    methods = results["in_corpus"][str(LOW_SHARE)]["methods"]
    informations = {"real": real["label_information"], "synthetic": quality["label_information"]}
    return {
        "published_method": BEST,
        "uar_note": f"{LOW_SHARE:.0%} of the training clips in each fold; the saved checkpoints were trained on all "
        "clips of the speakers that they list",
        "uar": {
            name: {"mean": entry["uar_mean"], "std": entry["uar_std"], "folds": FOLDS, "seeds": 1}
            for name, entry in methods.items()
        },
        "mutual_information": {
            rows: {"value": found["value"], "null_95": found["null_95"]} for rows, found in informations.items()
        },
        "carried_information": {
            "real": quality["carried_information_of_real_rows"],
            "synthetic": quality["carried_information"],
        },
        "memorisation": quality["memorisation"],
        "training": {"steps": results["steps"], "seed": results["seed"]},
    }


def verdicts(results: dict[str, Any]) -> list[str]:
    """In words, whether augmentation helped; a loss is called one."""
    said = []
    for share, scene in results["in_corpus"].items():
        methods = scene["methods"]
        base = methods[scene["baseline"]]["uar"]
        if float(share) == 1.0:
            said.append(
                "In one corpus, 100% of the training clips: one split of two speakers, too few for any verdict."
            )
            continue
        for name in (MISE, MISE_ENCODER, LABEL_ONLY):
            said.append(
                _verdict(f"In one corpus, {_percent(share)} of the training clips, {name}", methods[name], base)
            )
        gain = 100 * (methods[MISE]["uar"] - methods[ALIGNED_PLAIN]["uar"])
        said.append(f"Of MISE's difference, {gain:+.1f} UAR comes from the synthetic rows, the rest from its space.")
    for share, scene in results["sharing"].items():
        base = scene["methods"][scene["baseline"]]["uar"]
        for name, entry in scene["methods"].items():
            if name != scene["baseline"]:
                said.append(_verdict(f"Across sites, {_percent(share)} of B's training clips, {name}", entry, base))
    return said


def _percent(share: str) -> str:
    return f"{float(share):.0%}"


def _verdict(what: str, entry: dict[str, Any], base: float) -> str:
    difference, p = 100 * entry["difference"], entry["p_value"]
    word = "made no difference that these speakers can show"
    if p < 0.05:
        word = "helped" if difference > 0 else "HURT"
    return f"{what}: {word} ({difference:+.1f} UAR over {100 * base:.1f}, p = {p:.3f})."
