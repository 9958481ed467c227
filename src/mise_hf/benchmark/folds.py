"""Speaker-independent folds, low-label draws inside the training speakers, and the guard against leaks."""

import hashlib
from collections.abc import Iterator

import numpy as np
from sklearn.model_selection import GroupKFold

from mise_hf.features import FeatureTable
from mise_hf.features.provenance import heard_speakers

# No class may vanish from a small draw, or a classifier cannot name it.
FEWEST_OF_A_CLASS = 2


def speaker_folds(speakers: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers of training and test, `count` times; no speaker is on both sides.

    Args:
        speakers: str (rows,).
        count: folds; at most the number of speakers, which then are left out one by one.

    Raises:
        ValueError: for fewer speakers than folds.
    """
    found = len(set(speakers))
    if not 2 <= count <= found:
        raise ValueError(f"{count} folds over {found} speakers; wanted 2 to {found} folds")
    yield from GroupKFold(count).split(speakers, groups=speakers)


def draw_share(labels: np.ndarray, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """A share of the row numbers `rows`, drawn in each class, at least two of each (or all there are); sorted.

    Raises:
        ValueError: for a share outside 0 to 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; wanted more than 0, up to 1")
    if share == 1:
        return np.sort(rows)
    rng = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(labels[rows]):
        of_class = rows[labels[rows] == label]
        drawn.append(rng.permutation(of_class)[: max(FEWEST_OF_A_CLASS, round(share * len(of_class)))])
    return np.sort(np.concatenate(drawn))


def cut_classes(labels: np.ndarray, rows: np.ndarray, rare: list[int], share: float, seed: int) -> np.ndarray:
    """The row numbers `rows` with the classes `rare` cut to a share of their rows, at least two each; sorted."""
    kept = np.isin(labels[rows], rare, invert=True)
    cut = rows[~kept]
    return np.sort(np.concatenate([rows[kept], draw_share(labels, cut, share, seed)]))


def require_unseen(train: FeatureTable, test: FeatureTable) -> None:
    """Refuse a test set of which training has seen anything.

    Raises:
        ValueError: naming the speakers or utterances on both sides, or test clips that lie in training under another
            name (equal states).
    """
    speakers = sorted(set(map(str, train.speakers)) & set(map(str, test.speakers)))
    if speakers:
        raise ValueError(f"the speakers {speakers} are in training and test; wanted speaker-independent sets")
    ids = sorted(set(map(str, train.ids)) & set(map(str, test.ids)))
    if ids:
        raise ValueError(f"the utterances {ids[:5]} are in training and test; wanted disjoint sets")
    if train.audio_states is None or train.fingerprint.get("audio_encoder", "") is None:
        # Of text alone: two people who say "yes" have equal states, and are no copies of each other.
        return
    rows = {digest: str(name) for digest, name in zip(_digests(train), train.ids, strict=True)}
    copies = [(str(name), rows[key]) for key, name in zip(_digests(test), test.ids, strict=True) if key in rows]
    if copies:
        raise ValueError(f"test clips lie in training under another name: {copies[:5]}; wanted disjoint sets")


def require_apart(train: FeatureTable, test: FeatureTable, development: FeatureTable | None) -> None:
    """`require_unseen` of training, test and, where there are some, the rows that choices are made on."""
    require_unseen(train, test)
    if development is not None:
        require_unseen(train, development)
        require_unseen(development, test)


def _digests(table: FeatureTable) -> Iterator[bytes]:
    return (hashlib.sha256(np.ascontiguousarray(row).data).digest() for row in table.audio_states)


def require_unseen_speakers(corpora: list[dict] | None, test: FeatureTable) -> None:
    """Refuse a checkpoint whose `training_corpora` hold the test speakers of the same corpus.

    Raises:
        ValueError: naming the speakers; or a checkpoint that does not say what it was trained on.
    """
    if corpora is None:
        raise ValueError("the checkpoint does not state its training corpora; wanted `training_corpora` in its config")
    both = heard_speakers(corpora, test.corpus, test.speakers)
    if both:
        raise ValueError(f"the checkpoint was trained on the speakers {both} of {test.corpus}; wanted unseen ones")
