"""The benchmark checked on itself: would it notice an augmentation that helps, one that does not, and a leak?

Three things are planted in a small study, and the words say whether each was seen: labels shuffled over the corpus must
leave every method at chance; an oracle, which has read the test speakers' rows, must gain much; a generator of shuffled
labels must gain nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mise_hf.benchmark.controls import class_gaussian
from mise_hf.benchmark.place import Draw, Place
from mise_hf.benchmark.plain import BEST, project
from mise_hf.benchmark.recipes import MISE_ENCODER
from mise_hf.benchmark.tables import study_table
from mise_hf.features import FeatureTable

ORACLE, USELESS = "planted oracle", "planted useless generator"
# Run on shuffled labels beside the plain classifiers.
SHUFFLED_METHODS = ("SMOTE", "class Gaussian", MISE_ENCODER)
SHUFFLED = "shuffled"
# Gains of UAR: an oracle must show more than the first (or half of the room there is), a useless generator less than
# the second.
LARGE, NONE = 0.03, 0.02
# Standard errors of UAR at chance within which shuffled labels must stay.
ERRORS = 4.0
# Deviation of the oracle's rows about their class mean, of the real rows'.
SPREAD = 0.5


@dataclass(frozen=True)
class Oracle:
    """A recipe that cheats: class means and covariance of the whole corpus, test speakers included."""

    table: FeatureTable

    def __call__(self, place: Place) -> Draw:
        """Rows about the whole corpus's class means."""
        layers = place.rows.layers
        assert layers is not None
        features = project(place.rows, self.table.layer(layers))

        def draw(wanted: np.ndarray, seed: int) -> np.ndarray:
            made = class_gaussian(features, self.table.labels, wanted, seed)
            means = np.stack([features[self.table.labels == label].mean(0) for label in wanted])
            return (means + SPREAD * (made - means)).astype(np.float32)

        return draw


@dataclass(frozen=True)
class Useless:
    """A recipe that knows nothing: the class Gaussian of shuffled labels."""

    def __call__(self, place: Place) -> Draw:
        """Rows of emotions that are not theirs."""
        labels = np.random.default_rng(place.seed).permutation(place.table.labels)
        return lambda wanted, seed: class_gaussian(place.features, labels, wanted, seed).astype(np.float32)


def with_shuffled_labels(table: FeatureTable, seed: int = 0) -> FeatureTable:
    """The table with its labels permuted over all rows."""
    return replace(table, labels=np.random.default_rng(seed).permutation(table.labels))


@dataclass(frozen=True)
class Check:
    """One check: whether it held, and in words what was seen."""

    held: bool
    words: str

    def __str__(self) -> str:
        return f"{'ok    ' if self.held else 'FAILED'}  {self.words}"


def check_shuffled(frame: pd.DataFrame) -> Check:
    """Predictions of a study on shuffled labels: every method at chance."""
    table = study_table(frame, BEST)
    one = frame[(frame["method"] == BEST) & (frame["seed"] == frame["seed"].min())]
    counts = one["label"].value_counts().to_numpy()
    chance = 1 / len(counts)
    error = float(np.sqrt((chance * (1 - chance) / counts).sum()) / len(counts))
    low, high = table["uar"].min(), table["uar"].max()
    held = chance - ERRORS * error <= low and high <= chance + ERRORS * error
    return Check(
        bool(held),
        f"shuffled labels: {len(table)} methods at {100 * low:.1f} to {100 * high:.1f} UAR; chance is "
        f"{100 * chance:.1f}, four standard errors {100 * ERRORS * error:.1f}",
    )


def check_planted(frame: pd.DataFrame, records: Sequence[dict[str, Any]]) -> list[Check]:
    """Predictions of a study with an `Oracle` and a `Useless` generator planted in it."""
    table = study_table(frame[frame["method"].isin((BEST, ORACLE, USELESS))], BEST).set_index("method")
    gain, idle = table.loc[ORACLE, "difference"], table.loc[USELESS, "difference"]
    needed = min(LARGE, (1 - table.loc[BEST, "uar"]) / 2)
    ratios = [record["choices"]["in corpus"]["methods"][USELESS]["ratio"] for record in records]
    return [
        Check(
            bool(gain >= needed),
            f"planted oracle (has read the test speakers): {100 * gain:+.1f} UAR; wanted {100 * needed:.1f} or more",
        ),
        Check(
            bool(abs(idle) <= NONE),
            f"planted useless generator (of shuffled labels): {100 * idle:+.1f} UAR, left out by its own ratio in "
            f"{ratios.count(0.0)} of {len(ratios)} cells; wanted {100 * NONE:.1f} or less either way",
        ),
    ]


def shuffled_folder(out: Path) -> Path:
    """Where the study on shuffled labels goes."""
    return out / SHUFFLED
