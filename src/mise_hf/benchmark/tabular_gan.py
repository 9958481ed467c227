"""CTGAN, called as its users call it, where it is installed: `pip install mise-hf[ctgan]` (its licence is BUSL-1.1)."""

from importlib.util import find_spec

import numpy as np

from mise_hf.benchmark.place import Draw

LABEL = "emotion"
# Rows asked for at a time, and times asked: what it makes is of any emotion, those that are wanted are kept.
ROUNDS = 20


def available() -> bool:
    """Whether CTGAN can be imported."""
    return find_spec("ctgan") is not None


def fit_ctgan(features: np.ndarray, labels: np.ndarray, *, seed: int, epochs: int) -> Draw:
    """Train on float (rows, dim) and int (rows,); returns wanted emotions -> rows.

    Raises:
        ValueError: where it makes no row of an emotion.
    """
    import pandas as pd
    import torch
    from ctgan import CTGAN

    frame = pd.DataFrame(features, columns=[f"f{place}" for place in range(features.shape[1])])
    frame[LABEL] = labels.astype(str)
    # Its batches are cut into packs of 10 rows.
    batch = min(500, 10 * max(1, len(frame) // 10))
    model = CTGAN(epochs=epochs, batch_size=batch, enable_gpu=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.set_random_state(seed)
        model.fit(frame, [LABEL])

    def draw(wanted: np.ndarray, seed: int) -> np.ndarray:
        model.set_random_state(seed)
        out = np.empty((len(wanted), features.shape[1]), dtype=np.float32)
        for label in np.unique(wanted):
            places = np.flatnonzero(wanted == label)
            parts: list[np.ndarray] = []
            for _ in range(ROUNDS):
                made = model.sample(4 * len(places), condition_column=LABEL, condition_value=str(label))
                parts.append(made.loc[made[LABEL] == str(label)].drop(columns=LABEL).to_numpy(dtype=np.float32))
                if sum(map(len, parts)) >= len(places):
                    break
            found = np.concatenate(parts)
            if not len(found):
                raise ValueError(f"CTGAN made no row of emotion {label} in {ROUNDS} rounds; wanted {len(places)}")
            out[places] = found[np.arange(len(places)) % len(found)]
        return out

    return draw
