"""A corpus made in code: small, with emotions and speakers in known directions."""

import numpy as np

from mise_hf.features import FeatureTable

LABELS = ("anger", "joy", "sadness")


def make_table(speakers: int = 4, rows_each: int = 12, seed: int = 0, text: bool = True) -> FeatureTable:
    """A corpus with emotion along two directions, speaker along another, in two layers of 10 dimensions."""
    rng = np.random.default_rng(seed)
    rows = speakers * rows_each
    labels = np.arange(rows) % len(LABELS)
    speaker = np.repeat(np.arange(speakers), rows_each)
    states = rng.normal(size=(rows, 2, 10))
    states[:, :, 0] += 6 * (labels[:, None] == 0)
    states[:, :, 1] += 6 * (labels[:, None] == 1)
    states[:, :, 2] += speaker[:, None]
    sentences = rng.normal(size=(4, 1, 8)).astype("float32")
    which = rng.integers(4, size=rows)
    return FeatureTable(
        audio_states=states.astype("float32"),
        text_states=sentences[which] if text else None,
        labels=labels,
        label_names=LABELS,
        speakers=np.array([f"s{i}" for i in speaker]),
        ids=np.array([f"utterance-{i}" for i in range(rows)]),
        texts=np.array([f"sentence {i}" for i in which]),
        sessions=np.full(rows, ""),
        corpus="toy",
        audio_layers=(1, 2),
        text_layers=(1,) if text else (),
        fingerprint={"pooling": "mean+std", "audio_layers": [1, 2], "sampling_rate": 16000},
    )
