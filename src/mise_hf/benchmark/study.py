"""A study: cells of (share, fold, seed), each written when done, run in processes, taken up where it was stopped."""

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from mise_hf.benchmark.folds import FEWEST_OF_A_CLASS, cut_classes, draw_share, require_unseen, speaker_folds
from mise_hf.benchmark.foreign import ForeignRows, run_foreign_cell
from mise_hf.benchmark.modality import Modality, as_modality
from mise_hf.benchmark.official import Split, apart_unknown, official_splits
from mise_hf.benchmark.place import Recipe
from mise_hf.benchmark.standardise import Standardise, standardise
from mise_hf.benchmark.study_cell import method_names, run_study_cell
from mise_hf.benchmark.summary import prediction_rows
from mise_hf.benchmark.unlabelled import run_unlabelled_cell
from mise_hf.features import FeatureTable
from mise_hf.features.fingerprint import AUDIO_PARTS, require_same
from mise_hf.models.modeling_mise_generator import MiseGenerator

Folds = Literal["speaker", "session", "official"]
SPEAKER_FOLDS = 5
SETTINGS, CELLS = "settings.json", "cells"
# What inner folds choose by: cells that chose by something else have no place in the same table.
CHOSEN_BY = "log loss"


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        shares: of the training clips, each more than 0, up to 1.
        seeds: of draws and trainings; a cell for each.
        folds: "speaker" (five groups of speakers, or one each), "session" (one session left out) or "official" (the
            corpus's own folds or partitions, see `mise_hf.benchmark.official`).
        modality: "audio", "text" or "both" (side by side).
        in_corpus: run the in-corpus methods too, not only pretrained generators.
        steps: optimiser steps of each in-corpus generator.
        minority: emotions that are cut, in training, to `minority_share` of their clips.
        minority_share: see there.
        licence: of the corpus.
        methods: of the in-corpus methods those to run beside the plain classifiers; all where empty.
        unlabelled: ask what the clips that were not drawn add without their labels (`mise_hf.benchmark.unlabelled`),
            in place of every other method.
        measure: what in-corpus synthetic rows carry, and I(c; h) of them: half a minute a cell. Pretrained generators'
            are always measured.
        standardise: "speaker" for states standardised speaker by speaker, which is transductive.
    """

    shares: tuple[float, ...]
    seeds: tuple[int, ...]
    folds: Folds = "speaker"
    modality: Modality = "audio"
    in_corpus: bool = True
    steps: int = 500
    minority: tuple[str, ...] = ()
    minority_share: float = 0.1
    licence: str = "unstated"
    methods: tuple[str, ...] = ()
    standardise: Standardise = "none"
    measure: bool = True
    unlabelled: bool = False


@dataclass(frozen=True)
class Cell:
    """One training: a share of the clips, a fold left out, a seed."""

    share: float
    fold: int
    seed: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"share-{self.share:g}_fold-{self.fold}_seed-{self.seed}"


def study_folds(table: FeatureTable, plan: Plan) -> list[tuple[np.ndarray, np.ndarray]]:
    """Row numbers of training and test of each fold; errors as `study_splits`."""
    return [(split.train, split.test) for split in study_splits(table, plan)]


def study_splits(table: FeatureTable, plan: Plan) -> list[Split]:
    """Row numbers of training, test and (of official partitions) development of each fold.

    Raises:
        ValueError: for sessions or official folds that the corpus does not have, or a speaker in two sessions.
    """
    if plan.folds == "official":
        return official_splits(apart_unknown(table))
    none = np.empty(0, dtype=np.int64)
    return [Split(fit, held, none) for fit, held in _folds_of_people(table, plan)]


def _folds_of_people(table: FeatureTable, plan: Plan) -> list[tuple[np.ndarray, np.ndarray]]:
    if plan.folds == "speaker":
        return list(speaker_folds(table.speakers, min(SPEAKER_FOLDS, len(set(table.speakers)))))
    sessions = sorted(set(map(str, table.sessions)) - {""})
    if len(sessions) < 2:
        raise ValueError(f"the corpus has the sessions {sessions}; wanted two or more, or folds by speaker")
    for speaker in set(table.speakers):
        of = sorted(set(map(str, table.sessions[table.speakers == speaker])))
        if len(of) > 1:
            raise ValueError(f"speaker {speaker} is in the sessions {of}; wanted one, or folds by speaker")
    return [(np.flatnonzero(table.sessions != one), np.flatnonzero(table.sessions == one)) for one in sessions]


def run_study(
    table: FeatureTable,
    plan: Plan,
    out: Path,
    *,
    generators: dict[str, MiseGenerator] | None = None,
    controls: Sequence[ForeignRows] = (),
    workers: int = 1,
    planted: Mapping[str, Recipe] | None = None,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Run what is missing and read everything.

    Args:
        table: the target corpus.
        plan: see there.
        out: folder of the study.
        generators: pretrained elsewhere, by the name of their method.
        controls: of `foreign_rows`.
        workers: processes.
        planted: further in-corpus recipes by name, see `run_study_cell`.

    Returns:
        Predictions (one row a method, cell and utterance), and what each cell chose and measured.

    Raises:
        ValueError: where `out` holds another study, a generator's features were made in another way, or a fold trains
            on no row of an emotion.
    """
    table = as_modality(table, plan.modality)
    if plan.folds == "official":
        table = apart_unknown(table)
    generators = generators or {}
    if plan.modality != "audio" and (generators or controls):
        raise ValueError(f"modality is {plan.modality!r}; wanted 'audio' with generators pretrained elsewhere")
    for name, generator in generators.items():
        theirs = generator.config.feature_fingerprint or {}
        require_same(table.fingerprint, theirs, AUDIO_PARTS, our_name="the features", their_name=name)
    splits = study_splits(table, plan)
    all_labelled = max(plan.shares) >= 1 and not plan.minority
    if plan.unlabelled and (plan.modality != "audio" or plan.folds == "official" or all_labelled):
        raise ValueError(
            f"unlabelled clips with modality {plan.modality!r}, {plan.folds} folds and shares {list(plan.shares)}; "
            "wanted audio, folds by speaker or session, and shares below 1 or a minority, which leave clips unlabelled"
        )
    for split in splits:
        _check_split(table, split)
    _claim(out, table, plan, generators, controls, planted or {})
    # After the check: standardised by two speakers, a copied clip is no longer equal to itself.
    table = standardise(table, plan.standardise)
    cells = [Cell(share, fold, seed) for seed in plan.seeds for share in plan.shares for fold in range(len(splits))]
    missing = [cell for cell in cells if not _record(out, cell).is_file()]
    jobs = [(cell, table, plan, splits[cell.fold], generators, list(controls), planted, out) for cell in missing]
    for _ in tqdm(_in_processes(jobs, workers), total=len(jobs), desc="benchmark", unit="cell", disable=None):
        pass
    frame = pd.concat([pd.read_parquet(_predictions(out, cell)) for cell in cells], ignore_index=True)
    return frame, [json.loads(_record(out, cell).read_text(encoding="utf-8")) for cell in cells]


def _check_split(table: FeatureTable, split: Split) -> None:
    require_unseen(table.select(split.train), table.select(split.test))
    counts = np.bincount(table.labels[split.train], minlength=len(table.label_names))
    few = {name: int(count) for name, count in zip(table.label_names, counts, strict=True) if count < FEWEST_OF_A_CLASS}
    if few:
        raise ValueError(
            f"a fold trains on too few rows of these emotions: {few}; wanted {FEWEST_OF_A_CLASS} or more of each: "
            "merge or drop them with `mise-hf prepare --label-map`, or take other folds"
        )


def _claim(
    out: Path,
    table: FeatureTable,
    plan: Plan,
    generators: dict[str, MiseGenerator],
    controls: Sequence[ForeignRows],
    planted: Mapping[str, Recipe],
) -> None:
    """Write what the study is, or check that the folder holds the same; more shares and seeds may be added."""
    methods = (plan.methods or method_names(table)) if plan.in_corpus else ()
    said = {
        **{key: value for key, value in asdict(plan).items() if key not in ("shares", "seeds")},
        "corpus": table.corpus,
        "rows": _digest(table.ids, table.labels),
        "generators": {name: _digest(*generator.state_dict().values()) for name, generator in generators.items()},
        "controls": [control.name for control in controls],
        "methods": [*methods, *planted],
        "chosen_by": CHOSEN_BY,
    }
    said = json.loads(json.dumps(said))
    path = out / SETTINGS
    if path.is_file():
        # A study of before these could be chosen had them so.
        there = {
            "methods": [],
            "standardise": "none",
            "measure": True,
            "unlabelled": False,
            "chosen_by": "UAR",
            **json.loads(path.read_text(encoding="utf-8")),
        }
        other = sorted(key for key in {*said, *there} if said.get(key) != there.get(key))
        if other:
            raise ValueError(f"{out} holds another study: {other} differ; wanted the same ones, or another --out")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is no study and not empty; wanted a new folder")
    (out / CELLS).mkdir(parents=True)
    _write(path, json.dumps(said, indent=1))


def _digest(*arrays: Any) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(np.asarray(array)).tobytes())
    return digest.hexdigest()


def _run(
    cell: Cell,
    table: FeatureTable,
    plan: Plan,
    split: Split,
    generators: dict[str, MiseGenerator],
    controls: list[ForeignRows],
    planted: Mapping[str, Recipe] | None,
    out: Path,
) -> None:
    drawn = draw_share(table.labels, split.train, cell.share, cell.seed)
    if plan.minority:
        rare = [table.label_names.index(name) for name in plan.minority]
        drawn = cut_classes(table.labels, drawn, rare, plan.minority_share, cell.seed)
    train, test = table.select(drawn), table.select(split.test)
    development = None
    if len(split.development):
        # Labels to choose by are labels too: as few of them as of those to learn from.
        development = table.select(draw_share(table.labels, split.development, cell.share, cell.seed))
    predictions: dict[str, np.ndarray] = {}
    record: dict[str, Any] = {**asdict(cell), "choices": {}, "measures": {}}
    if plan.unlabelled:
        rest = table.select(np.setdiff1d(split.train, drawn))
        given: dict[str, Any] = {"licence": plan.licence, "seed": cell.seed, "steps": plan.steps}
        semi = run_unlabelled_cell(train, rest, test, generators, **given)
        predictions |= semi.predictions
        record["choices"] |= semi.choices
    elif generators or controls:
        foreign = run_foreign_cell(train, test, generators, controls, seed=cell.seed, development=development)
        predictions |= foreign.predictions
        record["choices"] |= foreign.choices
        record["measures"] |= foreign.measures
    if plan.in_corpus and not plan.unlabelled:
        own = run_study_cell(
            train,
            test,
            licence=plan.licence,
            seed=cell.seed,
            steps=plan.steps,
            development=development,
            methods=plan.methods,
            planted=planted,
            measure=plan.measure,
        )
        predictions |= own.predictions
        record["choices"]["in corpus"] = own.choices
        record["measures"] |= own.measures
    frame = prediction_rows(plan.modality, cell.share, cell.fold, test, predictions, cell.seed)
    path = _predictions(out, cell)
    frame.to_parquet(path.with_suffix(".part"), index=False)
    path.with_suffix(".part").replace(path)
    # The record goes last: a cell that has it is complete.
    _write(_record(out, cell), json.dumps(record, indent=1))


def _in_processes(jobs: Sequence[tuple[Any, ...]], workers: int) -> Iterator[None]:
    """Run the cells, yielding as each is done; one worker needs no process of its own."""
    if min(workers, len(jobs)) <= 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with threadpool_limits(1):
                for job in jobs:
                    _run(*job)
                    yield
        finally:
            torch.set_num_threads(threads)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_one_thread) as pool:
        for done in as_completed([pool.submit(_run, *job) for job in jobs]):
            yield done.result()


def _one_thread() -> None:
    # Ctrl-C reaches every process of a terminal: the parent alone tells of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threadpool_limits(1)


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _predictions(out: Path, cell: Cell) -> Path:
    return out / CELLS / f"{cell.name}.parquet"


def _record(out: Path, cell: Cell) -> Path:
    return out / CELLS / f"{cell.name}.json"


def default_workers() -> int:
    """One process a core."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
