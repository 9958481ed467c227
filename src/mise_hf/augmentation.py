"""SyntheticFeatures: a batch in, a batch with synthetic utterance features out; the `datasets` transform.

May import models and features. Works in `dataset.with_transform`, `dataset.map(batched=True)` and
`IterableDataset.map(batched=True)`.
"""

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from mise_hf.features import FeatureTable
from mise_hf.features.fingerprint import AUDIO_PARTS, require_same
from mise_hf.models.modeling_mise_generator import MiseGenerator
from mise_hf.pretrained import EMODB_GENERATOR, load_generator
from mise_hf.transfer import adapt, fit_transfer
from mise_hf.transfer.alone import warn_of_no_gain

Mode = Literal["replace", "append"]
Balance = Literal["uniform", "inverse", "none"]

FEATURE_COLUMN, TEXT_COLUMN = "features", "text_features"


class _Draws(NamedTuple):
    """For each row, (rows,): two uniform numbers, whether it is chosen and for its emotion; a seed for its noise."""

    choice: np.ndarray
    emotion: np.ndarray
    noise_seed: np.ndarray


class SyntheticFeatures:
    """Mixes generated features into training batches. Picklable; never use it on validation or test rows.

    Whether a row is replaced (or accompanied), by which emotion and from which noise, is a function of (seed, epoch,
    row id): bit-equal whatever the number of workers and the batch size. Features are equal to 1e-5, since matrix
    products round differently at other batch sizes.

    Args:
        generator: a `MiseGenerator`.
        ratio: "replace": share of the rows that become synthetic, 0 to 1. "append": synthetic rows for each real one,
            0 to 10.
        balance: how emotions are drawn: "uniform" over the classes, "inverse" to `class_counts`, or "none": each
            synthetic row has the emotion of the row that it replaces or accompanies.
        mode: "replace" keeps the number of rows and is the only mode for `with_transform`; "append" adds rows and is
            for `map` and `IterableDataset.map`.
        class_counts: training rows of each class, (labels,); needed for balance="inverse".
        text: text embeddings to condition on, float32 (texts, text size); one is drawn for each synthetic row. None
            generates without text.
        fingerprint: of the real features; checked against the generator's.
        seed: of every draw.
        epoch: see `set_epoch`.

    Raises:
        ValueError: for a value out of its range, or features made in another way than the generator's.
    """

    def __init__(
        self,
        generator: MiseGenerator,
        *,
        ratio: float = 0.5,
        balance: Balance = "uniform",
        mode: Mode = "replace",
        class_counts: Sequence[int] | None = None,
        text: Tensor | np.ndarray | None = None,
        fingerprint: Mapping[str, Any] | None = None,
        seed: int,
        epoch: int = 0,
    ):
        config = generator.config
        if mode not in get_args(Mode):
            raise ValueError(f"mode is {mode!r}; wanted one of {', '.join(get_args(Mode))}")
        if balance not in get_args(Balance):
            raise ValueError(f"balance is {balance!r}; wanted one of {', '.join(get_args(Balance))}")
        highest = 1 if mode == "replace" else 10
        if not 0 <= ratio <= highest:
            raise ValueError(f"ratio is {ratio!r}; wanted 0 to {highest} in mode {mode!r}")
        if (balance == "inverse") != (class_counts is not None):
            raise ValueError(
                f"balance is {balance!r} and class_counts {class_counts!r}; wanted counts for 'inverse' only"
            )
        if class_counts is not None and (len(class_counts) != config.num_labels or min(class_counts) < 1):
            raise ValueError(f"class_counts are {list(class_counts)}; wanted {config.num_labels} counts of 1 or more")
        if fingerprint is not None:
            theirs = config.feature_fingerprint or {}
            require_same(fingerprint, theirs, AUDIO_PARTS, our_name="the dataset", their_name="the generator")
        self.generator = generator.eval()
        self.ratio, self.balance, self.mode = ratio, balance, mode
        self.seed, self.epoch = seed, epoch
        self.text = None if text is None else torch.as_tensor(np.asarray(text), dtype=torch.float32)
        if self.text is not None and not (len(self.text) and self.text.isfinite().all()):
            raise ValueError(f"text has {len(self.text)} rows, or NaN or infinity; wanted at least one row, all finite")
        if self.text is not None and self.text.shape[1:] != (config.text_size,):
            raise ValueError(
                f"text has shape {tuple(self.text.shape)}; wanted (texts, {config.text_size}) as the generator has"
            )
        weights = np.ones(config.num_labels) if class_counts is None else 1 / np.asarray(class_counts, dtype=float)
        self.cumulative = np.cumsum(weights / weights.sum())

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] = EMODB_GENERATOR,
        *,
        target: FeatureTable | None = None,
        label_map: Mapping[str, str] | None = None,
        unlabelled: FeatureTable | None = None,
        seed: int,
        **options: Any,
    ) -> "SyntheticFeatures":
        """From a generator on the Hub, in a folder, or the package's own; adapted to a few rows of the target corpus.

        Args:
            name: Hub id or folder; by default the generator of EmoDB that the package carries.
            target: training rows of the corpus to augment, never a row that is tested on. The generator is adapted to
                them (`mise_hf.transfer`): it then makes the target's emotions, in the space of `dataset`. None takes
                the generator as it is. It is for few clips: with all of EmoDB's it costs about a point of UAR
                (`benchmarks/results/`). Without `unlabelled`, a warning tells where left-out speakers of the target
                are served as well by its rows alone.
            label_map: the generator's name of an emotion -> the target's, where they differ.
            unlabelled: more rows of the target's training speakers, whose labels are not looked at; how much they
                count, down to nothing, is chosen inside.
            seed: of every draw.
            options: as in `SyntheticFeatures`.

        Raises:
            ValueError: for no generator there, features made by another encoder, or no emotion in common.
        """
        generator = load_generator(name)
        if target is None:
            if label_map is not None or unlabelled is not None:
                raise ValueError("label_map or unlabelled is given without target; wanted target too")
            return cls(generator, seed=seed, **options)
        transfer = fit_transfer(generator, target, label_map=label_map, unlabelled=unlabelled, seed=seed)
        if unlabelled is None:
            warn_of_no_gain(transfer, target, generator.config.state_layers, seed=seed)
        return cls(adapt(generator, transfer), fingerprint=target.fingerprint, seed=seed, **options)

    def dataset(self, table: FeatureTable) -> Dataset:
        """Utterances in the generator's encoder space, as rows that this object augments: id, label, speaker, features.

        Args:
            table: of the corpus that the generator was adapted to, or trained on.

        Raises:
            ValueError: for a generator of an aligned space.
        """
        if self.generator.space is None:
            raise ValueError(
                "the generator's space is 'aligned', which belongs to its aligner; wanted one of 'encoder'"
            )
        states = torch.from_numpy(table.layer(self.generator.config.state_layers))
        space = self.generator.space
        features = space.project(states.to(space.mean)).float().cpu().numpy()
        labels = [table.label_names[label] for label in table.labels]
        rows = {"id": table.ids.tolist(), "label": labels, "speaker": table.speakers.tolist(), "features": features}
        return Dataset.from_dict(rows)

    def __repr__(self) -> str:
        return (
            f"SyntheticFeatures(ratio={self.ratio}, balance={self.balance!r}, mode={self.mode!r}, seed={self.seed}, "
            f"epoch={self.epoch}, labels={list(self.generator.config.label2id)})"
        )

    def set_epoch(self, epoch: int) -> None:
        """Draw anew in another epoch. Persistent DataLoader workers keep the epoch they were started with."""
        self.epoch = epoch

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Augment a batch of columns.

        Args:
            batch: columns `id`, `label` (names or ids), `features` (rows of feature size), for a paired generator
                `text_features`, and any others.

        Returns:
            The same columns and `is_synthetic`. In mode "append" synthetic rows follow the real ones, with the id
            `synthetic:...` and None in every column that a generator does not make.

        Raises:
            ValueError: for a missing column, an unknown label, another feature size, or mode "append" under
                `with_transform`.
        """
        # `with_transform` hands over a plain dict, as IterableDataset.map does: only the caller tells them apart.
        if self.mode == "append" and sys._getframe(1).f_globals.get("__name__") == "datasets.formatting.formatting":
            raise ValueError(
                "mode='append' under with_transform, which loses appended rows without a word; wanted mode='replace', "
                "or dataset.map(..., batched=True)"
            )
        columns = dict(batch)
        for name in ("id", "label", FEATURE_COLUMN):
            if name not in columns:
                raise ValueError(f"the batch has the columns {sorted(columns)}; wanted {name!r} among them")
        ids = list(columns["id"])
        features = _as_matrix(columns[FEATURE_COLUMN], self.generator.config.feature_size)
        given = columns["label"].tolist() if hasattr(columns["label"], "tolist") else list(columns["label"])
        labels = self.generator.label_ids(given).numpy()
        if self.mode == "replace":
            return self._replace(columns, ids, labels, features)
        return self._append(columns, ids, labels)

    def _replace(self, columns: dict, ids: list, labels: np.ndarray, features: np.ndarray) -> dict:
        draws = self._draw(ids, 0)
        chosen = draws.choice < self.ratio
        picked = np.flatnonzero(chosen)
        columns["is_synthetic"] = chosen.tolist()
        if not len(picked):
            return columns
        wanted = self._emotions(draws.emotion, labels)[picked]
        made, made_text = self._generate(wanted, draws.noise_seed[picked].tolist())
        features = features.copy()
        features[picked] = made
        columns[FEATURE_COLUMN] = list(features)
        columns["label"] = self._as_given(columns["label"], picked, wanted)
        if made_text is not None:
            text = _as_matrix(columns.get(TEXT_COLUMN), self.generator.config.paired_text_size).copy()
            text[picked] = made_text
            columns[TEXT_COLUMN] = list(text)
        if "speaker" in columns:
            columns["speaker"] = [None if new else old for old, new in zip(columns["speaker"], chosen, strict=True)]
        return columns

    def _append(self, columns: dict, ids: list, labels: np.ndarray) -> dict:
        # A ratio of 1.3 is one row, and a second one with probability 0.3.
        counts = int(self.ratio) + (self._draw(ids, -1).choice < self.ratio - int(self.ratio))
        copies = [self._draw(ids, number) for number in range(int(counts.max(initial=0)))]
        origins = [(place, number) for place, count in enumerate(counts) for number in range(count)]
        uniforms = np.array([copies[number].emotion[place] for place, number in origins])
        wanted = self._emotions(uniforms, labels[[place for place, _ in origins]])
        made, made_text = self._generate(wanted, [int(copies[number].noise_seed[place]) for place, number in origins])
        added = {
            "id": [f"synthetic:{self.seed}:{self.epoch}:{ids[place]}:{number}" for place, number in origins],
            "label": self._as_given(columns["label"], None, wanted),
            FEATURE_COLUMN: list(made),
        }
        if made_text is not None:
            added[TEXT_COLUMN] = list(made_text)
        out = {name: list(values) + list(added.get(name, [None] * len(wanted))) for name, values in columns.items()}
        out["is_synthetic"] = [False] * len(ids) + [True] * len(wanted)
        return out

    def _draw(self, ids: list, copy_number: int) -> _Draws:
        """For each row what is a function of (seed, epoch, row id, copy)."""
        before = hashlib.blake2b(f"{self.seed}|{self.epoch}|{copy_number}|".encode(), digest_size=24)
        hashes = []
        for row_id in ids:
            of_row = before.copy()
            of_row.update(str(row_id).encode())
            hashes.append(of_row.digest())
        numbers = np.frombuffer(b"".join(hashes), dtype="<u8").reshape(len(ids), 3)
        return _Draws(numbers[:, 0] / 2**64, numbers[:, 1] / 2**64, numbers[:, 2] >> np.uint64(1))

    def _emotions(self, uniforms: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """int64 (rows,): the labels' own, or drawn by numbers from 0 to 1."""
        if self.balance == "none":
            return labels
        return np.searchsorted(self.cumulative, uniforms, side="right").clip(max=len(self.cumulative) - 1)

    def _generate(self, labels: np.ndarray, noise_seeds: list[int]) -> tuple[np.ndarray, np.ndarray | None]:
        config = self.generator.config
        if not len(labels):
            empty = np.empty((0, config.paired_text_size), np.float32) if config.paired_text_size else None
            return np.empty((0, config.feature_size), np.float32), empty
        noise, source = torch.empty(len(labels), config.noise_size), torch.Generator()
        for row, noise_seed in zip(noise.unbind(), noise_seeds, strict=True):
            row.normal_(generator=source.manual_seed(noise_seed))
        text = None
        if self.text is not None:
            text = self.text[[noise_seed % len(self.text) for noise_seed in noise_seeds]]
            text = text.to(self.generator.dtype)
        out = self.generator.generate(torch.from_numpy(labels), text, noise=noise)
        paired = out.text_features
        return out.features.cpu().numpy(), None if paired is None else paired.cpu().numpy()

    def _as_given(self, column: Any, places: np.ndarray | None, labels: np.ndarray) -> list:
        """Labels in the way the dataset has them, names or ids; those at `places` of the column, or new ones alone."""
        names = self.generator.config.id2label
        old = column.tolist() if hasattr(column, "tolist") else list(column)
        as_names = bool(old) and isinstance(old[0], str)
        new = [names[int(label)] if as_names else int(label) for label in labels]
        if places is None:
            return new
        for place, label in zip(places, new, strict=True):
            old[place] = label
        return old


def _as_matrix(values: Any, size: int) -> np.ndarray:
    """A column of vectors as float32 (rows, size)."""
    if values is None:
        raise ValueError(f"the batch has no {TEXT_COLUMN!r} column; wanted one of {size} numbers a row")
    matrix = np.asarray(values.numpy() if isinstance(values, Tensor) else values, dtype=np.float32)
    if matrix.size == 0:
        return matrix.reshape(0, size)
    if matrix.ndim != 2 or matrix.shape[1] != size:
        raise ValueError(f"the dataset's features have shape {matrix.shape}; wanted (rows, {size}), the generator's")
    if not np.isfinite(matrix).all():
        raise ValueError("the dataset's features hold NaN or infinity; wanted finite numbers")
    return matrix
