"""The corpus's own split: its cross-validation folds, or its train, development and test partitions.

A test speaker is never learnt from. Where an official partition shares speakers (MELD, by its design), the rows of a
test speaker are left out of training and development, with their number in `Split.notes`. Of several test partitions
(MSP-Podcast) the first counts; `mise-hf prepare --test` keeps another. Development rows are never trained on: layers,
settings and ratios are chosen on them, in place of inner folds of speakers.
"""

from dataclasses import dataclass, replace

import numpy as np

from mise_hf.corpora.guards import UNKNOWN_SPEAKERS
from mise_hf.features import FeatureTable

# How the partitions of corpora and of datasets on the Hub begin, lower case.
TRAIN, DEVELOPMENT, TEST = ("train",), ("dev", "val"), ("test", "eval")


@dataclass(frozen=True)
class Split:
    """Row numbers of training, test and development (none where choices are made by speaker-grouped inner folds).

    `notes` says what was left out and why, one line each.
    """

    train: np.ndarray
    test: np.ndarray
    development: np.ndarray
    notes: tuple[str, ...] = ()


def official_splits(table: FeatureTable) -> list[Split]:
    """The splits of a corpus's own protocol; one for each of its folds, or one of partitions.

    Raises:
        ValueError: for a corpus without an official split, or one that does not say where each row belongs.
    """
    folds = sorted(set(map(str, table.folds)))
    if len(folds) > 1:
        if "" in folds:
            raise ValueError(f"{(table.folds == '').sum()} rows of {table.corpus} have no fold; wanted one in each row")
        none = np.empty(0, dtype=np.int64)
        return [
            _without_test_speakers(
                table, Split(np.flatnonzero(table.folds != one), np.flatnonzero(table.folds == one), none)
            )
            for one in folds
        ]
    names = sorted(set(map(str, table.partitions)))
    if names == [""] or not names:
        raise ValueError(
            f"{table.corpus} has no official folds or partitions in its features; wanted --folds speaker or session, "
            "or a column fold or partition at `mise-hf prepare`, which features extracted from it carry along"
        )
    rows = {part: [name for name in names if name.lower().startswith(part)] for part in (TRAIN, DEVELOPMENT, TEST)}
    other = sorted(set(names) - {name for found in rows.values() for name in found})
    if other or not rows[TRAIN] or not rows[TEST]:
        raise ValueError(
            f"{table.corpus} has the partitions {names}; wanted names that begin with train, test and (where there is "
            "one) dev or val"
        )
    notes = []
    if len(rows[TEST]) > 1:
        notes.append(f"tested on {rows[TEST][0]}; {', '.join(rows[TEST][1:])} left out")
    if rows[DEVELOPMENT]:
        notes.append(f"choices are made on {' and '.join(rows[DEVELOPMENT])}, which is never trained on")
    train, development = (np.flatnonzero(np.isin(table.partitions, rows[part])) for part in (TRAIN, DEVELOPMENT))
    test = np.flatnonzero(table.partitions == rows[TEST][0])
    return [_without_test_speakers(table, Split(train, test, development, tuple(notes)))]


def apart_unknown(table: FeatureTable) -> FeatureTable:
    """The table with the unknown speakers of each official partition or fold under a name of their own.

    "Unknown" stands for many people (MSP-Podcast). That those of two partitions differ is the corpus's word.
    """
    side = np.where(table.folds == "", table.partitions, table.folds)
    unknown = np.isin(np.char.lower(table.speakers.astype(np.str_)), sorted(UNKNOWN_SPEAKERS))
    if not unknown.any():
        return table
    named = np.array([f"unknown of {part}" for part in side], dtype=np.str_)
    return replace(table, speakers=np.where(unknown, named, table.speakers))


def _without_test_speakers(table: FeatureTable, split: Split) -> Split:
    heard = set(map(str, table.speakers[split.test]))
    notes = list(split.notes)
    kept = []
    for name, rows in (("training", split.train), ("development", split.development)):
        shared = np.isin(table.speakers[rows], sorted(heard))
        if shared.any():
            people = len(set(table.speakers[rows[shared]]))
            notes.append(
                f"{shared.sum()} of {len(rows)} {name} rows left out: their {people} speakers are in the test too"
            )
        kept.append(rows[~shared])
    if not len(kept[0]):
        raise ValueError(
            f"every training row of {table.corpus}'s official split is of a test speaker; wanted --folds speaker"
        )
    return Split(kept[0], split.test, kept[1], tuple(notes))
