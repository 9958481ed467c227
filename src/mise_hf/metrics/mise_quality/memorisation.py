"""Whether a generator hands back its training rows. Imports numpy and siblings only.

The question is not "how near is near?" but "nearer than a new utterance of the SAME speakers would be?": against
other speakers every synthetic row looks near, and against none no leak is ever seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .checks import as_codes, as_matrix, check_columns, check_count
from .fidelity import nearest_distance

QUANTILE = 0.05


@dataclass(frozen=True)
class Memorisation:
    """Share of synthetic rows that lie closer to a training row than nearly every withheld row does.

    Attributes:
        share: of synthetic rows nearer to a training row than the nearest 5 % of the withheld rows are.
        null_mean: the same share for withheld real rows in the synthetic rows' place, over refits; about 0.05.
        null_95: 95th percentile of that null: above it, rows are copied, or merely nearer to the middle than speech.
        mirrored: the same share with training and withheld rows changing places: what nearness to the middle brings.
        excess_null_95: 95th percentile of share - mirrored over the refits.
        nearer: probability that a synthetic row is nearer to the training rows than a withheld row (0.5: no leak).
        rows: withheld rows used as the reference.
    """

    share: float
    null_mean: float
    null_95: float
    mirrored: float
    excess_null_95: float
    nearer: float
    rows: int

    @property
    def copied(self) -> bool:
        """Whether rows are near to training rows, and nearer to them than to withheld rows, beyond chance."""
        return self.share > self.null_95 and self.share - self.mirrored > self.excess_null_95


def memorisation(
    synthetic: Any,
    training: Any,
    withheld: Any,
    *,
    training_speakers: Any = None,
    withheld_speakers: Any = None,
    n_refits: int = 50,
    seed: int = 0,
) -> Memorisation:
    """How many synthetic rows are nearer to a training row than withheld real rows of the same speakers are.

    All sets are standardised by the training rows alone. For the null, training and withheld rows are dealt out anew
    (within each speaker, when speakers are given), the transform is refitted, and half of the withheld rows takes the
    synthetic rows' place.

    Args:
        synthetic: (rows, columns).
        training: (rows', columns), what the generator was trained on.
        withheld: (rows'', columns), real rows that it was not trained on.
        training_speakers: (rows',).
        withheld_speakers: (rows'',); must be speakers of the training rows. Rows of training speakers without
            withheld rows stay in: a generator may copy them too.
        n_refits: deals of the null.
        seed: of the deals.

    Raises:
        ValueError: unusable matrices, only one side's speakers given, or withheld speakers unknown to training.
    """
    n_refits, seed = check_count("n_refits", n_refits, 1), check_count("seed", seed, 0)
    fake = as_matrix("synthetic", synthetic, 2)
    seen, unseen = as_matrix("training", training, 4), as_matrix("withheld", withheld, 4)
    check_columns("synthetic", fake, "training", seen)
    check_columns("withheld", unseen, "training", seen)
    speakers = shared_speakers(training_speakers, withheld_speakers, len(seen), len(unseen))
    near_fake, near_unseen = nearest(fake, seen), nearest(unseen, seen)
    real = np.concatenate([seen, unseen])
    rng = np.random.default_rng(seed)
    null, excess = [], []
    for _ in range(n_refits):
        kept, out = deal(speakers, len(seen), rng)
        half = rng.permutation(out)
        first, second = half[: len(half) // 2], half[len(half) // 2 :]
        null.append(share_below(nearest(real[first], real[kept]), nearest(real[second], real[kept])))
        excess.append(null[-1] - mirrored_share(real[first], real[kept], real[second]))
    return Memorisation(
        share=share_below(near_fake, near_unseen),
        null_mean=float(np.mean(null)),
        null_95=float(np.quantile(null, 0.95)),
        mirrored=mirrored_share(fake, seen, unseen),
        excess_null_95=float(np.quantile(excess, 0.95)),
        nearer=float(np.mean(near_fake[:, None] < near_unseen) + 0.5 * np.mean(near_fake[:, None] == near_unseen)),
        rows=len(unseen),
    )


def mirrored_share(fake: np.ndarray, seen: np.ndarray, unseen: np.ndarray) -> float:
    """Share of `fake` nearer to a row of `unseen` than nearly every row of `seen` is."""
    return share_below(nearest(fake, unseen), nearest(seen, unseen))


def nearest(x: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Distance (rows,) to the nearest training row, in columns standardised by the training rows."""
    mean, deviation = training.mean(axis=0), training.std(axis=0)
    deviation = np.where(deviation > 1e-12 * np.maximum(np.abs(mean), 1e-30), deviation, np.inf)
    return nearest_distance((x - mean) / deviation, (training - mean) / deviation)


def share_below(distances: np.ndarray, reference: np.ndarray) -> float:
    """Share of `distances` strictly below the lower 5 % quantile of `reference`."""
    return float(np.mean(distances < np.quantile(reference, QUANTILE)))


def deal(speakers: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows dealt anew into training (at first the first `count`) and withheld, each speaker keeping its numbers."""
    kept, out = [], []
    for speaker in np.unique(speakers):
        rows = np.flatnonzero(speakers == speaker)
        training = int((rows < count).sum())
        mixed = rng.permutation(rows)
        kept.append(mixed[:training])
        out.append(mixed[training:])
    return np.concatenate(kept), np.concatenate(out)


def shared_speakers(training: Any, withheld: Any, rows: int, rows_withheld: int) -> np.ndarray:
    """Speaker codes (rows + rows_withheld,); one code for all when no speakers are given."""
    if training is None and withheld is None:
        return np.zeros(rows + rows_withheld, dtype=np.int64)
    if training is None or withheld is None:
        missing = "training_speakers" if training is None else "withheld_speakers"
        raise ValueError(f"{missing} is missing; give the speakers of both sides, or of neither")
    seen, seen_names = as_codes("training_speakers", training, rows)
    unseen, unseen_names = as_codes("withheld_speakers", withheld, rows_withheld)
    known = [str(n) for n in seen_names]
    strangers = [str(n) for n in unseen_names if str(n) not in known]
    if strangers:
        raise ValueError(
            f"withheld_speakers holds {', '.join(strangers[:5])}, whom training_speakers does not; withhold utterances "
            "of the training speakers, since other speakers lie further away whatever the generator copied"
        )
    return np.concatenate([seen, np.array([known.index(str(n)) for n in unseen_names])[unseen]])
