"""One shard's rows to pooled states: decoding in the background, batches by duration, long audio in windows."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mise_hf.features.audio import read_windows
from mise_hf.features.batches import bucket
from mise_hf.features.encoders import AudioEncoder, TextEncoder
from mise_hf.models.pooling_mise import count_frames, pooled_audio_states, pooled_text_states

# Windows of audio with no limit of its own; attention over more costs memory with the square.
DEFAULT_WINDOW_SECONDS = 30.0
TEXT_TOKENS_PER_BATCH = 4096
# Batches that are decoded ahead of the encoder.
AHEAD = 3


@dataclass
class Pooled:
    """States of one shard: row to (layers, 2 * hidden) float32, and row to the reason why it has none."""

    states: dict[int, np.ndarray] = field(default_factory=dict)
    rejected: dict[int, str] = field(default_factory=dict)


class AudioPooler:
    """Pools the audio of a shard.

    Args:
        encoder: frozen.
        batch_seconds: of audio in a batch, padding included.
        window_seconds: longest window; None for what the encoder takes, 30 s where it takes any length.
        decoders: threads that decode ahead.
        on_batch: called with the number of clips and the seconds of audio of each batch that is done.
    """

    def __init__(
        self,
        encoder: AudioEncoder,
        batch_seconds: float,
        window_seconds: float | None = None,
        decoders: int = 1,
        on_batch: Callable[[int, float], None] = lambda clips, seconds: None,
    ) -> None:
        if batch_seconds <= 0:
            raise ValueError(f"batches of {batch_seconds} s; wanted more than 0")
        longest = encoder.extractor.maximum_seconds
        window = DEFAULT_WINDOW_SECONDS if longest is None else longest
        if window_seconds is not None:
            if window_seconds <= 0 or (longest is not None and window_seconds > longest):
                raise ValueError(f"windows of {window_seconds} s; wanted more than 0, and {longest or 'any'} s at most")
            window = window_seconds
        self.encoder = encoder
        self.batch_seconds = batch_seconds
        self.window_seconds = window
        self.decoders = decoders
        self.on_batch = on_batch

    def pool(self, paths: list[str], durations: list[float | None], strict: bool = False) -> Pooled:
        """States of the files `paths`, whose headers tell of `durations` seconds.

        Raises:
            ValueError: for the first bad file where `strict`.
        """
        result = Pooled()
        short = [index for index, seconds in enumerate(durations) if (seconds or 0.0) <= self.window_seconds]
        groups = bucket([durations[index] or 0.0 for index in short], self.batch_seconds)
        with ThreadPoolExecutor(self.decoders) as threads:
            batches = [[short[place] for place in group] for group in groups]
            for batch, ready in _ahead(threads, batches, lambda rows: self._inputs_of(rows, paths)):
                inputs, bad = ready
                self._refuse(result, bad, strict)
                if inputs is not None:
                    kept = [row for row in batch if row not in bad]
                    for row, states in zip(kept, self._states(inputs), strict=True):
                        self._accept(result, row, states, paths[row], strict)
                self.on_batch(len(batch), sum(durations[row] or 0.0 for row in batch))
        for row in sorted(set(range(len(paths))) - set(short)):
            try:
                self._accept(result, row, self._long(paths[row]), paths[row], strict)
            except ValueError as error:
                self._refuse(result, {row: str(error)}, strict)
            self.on_batch(1, durations[row] or 0.0)
        return result

    def _inputs_of(self, rows: list[int], paths: list[str]) -> tuple[Any, dict[int, str]]:
        """Encoder input of the rows that decode, and the reasons of those that do not."""
        extractor = self.encoder.extractor
        waveforms, bad = [], {}
        for row in rows:
            try:
                windows = read_windows(paths[row], sampling_rate=extractor.sampling_rate, window_seconds=None)
                waveforms.append(extractor.check(next(windows)))
            except ValueError as error:
                bad[row] = str(error)
        return (extractor(waveforms, sampling_rate=extractor.sampling_rate) if waveforms else None), bad

    @torch.inference_mode()
    def _states(self, inputs: Any) -> np.ndarray:
        device = self.encoder.model.device
        values = inputs[self.encoder.extractor.input_name].to(device)
        return pooled_audio_states(
            self.encoder.model, values, inputs["attention_mask"].to(device), self.encoder.layers
        ).numpy(force=True)

    def _long(self, path: str) -> np.ndarray:
        """States of a recording that is longer than a window, as if its frames had been pooled in one go."""
        extractor = self.encoder.extractor
        at_once = max(1, int(self.batch_seconds // self.window_seconds))
        states: list[np.ndarray] = []
        frames: list[int] = []
        batch: list[np.ndarray] = []
        windows = read_windows(path, sampling_rate=extractor.sampling_rate, window_seconds=self.window_seconds)
        for window in windows:
            batch.append(window)
            if len(batch) == at_once:
                self._pool_windows(batch, states, frames)
                batch = []
        if batch:
            self._pool_windows(batch, states, frames)
        return combine_windows(np.stack(states), np.array(frames))

    def _pool_windows(self, batch: list[np.ndarray], states: list[np.ndarray], frames: list[int]) -> None:
        inputs = self.encoder.extractor(batch, sampling_rate=self.encoder.extractor.sampling_rate)
        states.extend(self._states(inputs))
        frames.extend(count_frames(self.encoder.model, inputs["attention_mask"].sum(dim=-1)).tolist())

    def _accept(self, result: Pooled, row: int, states: np.ndarray, path: str, strict: bool) -> None:
        if np.isfinite(states.astype(np.float16)).all():
            result.states[row] = states
        else:
            self._refuse(result, {row: f"the states of {path!r} are NaN or do not fit float16"}, strict)

    def _refuse(self, result: Pooled, bad: dict[int, str], strict: bool) -> None:
        if strict and bad:
            raise ValueError(next(iter(bad.values())))
        result.rejected.update(bad)


def combine_windows(states: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of a recording from those of its windows.

    Args:
        states: (windows, layers, 2 * hidden), mean then population standard deviation.
        frames: (windows,), valid frames of each window.

    Returns:
        (layers, 2 * hidden).
    """
    mean, deviation = np.split(states.astype(np.float64), 2, axis=-1)
    share = (frames / frames.sum())[:, None, None]
    whole = (share * mean).sum(axis=0)
    variance = (share * (deviation**2 + (mean - whole) ** 2)).sum(axis=0)
    return np.concatenate([whole, np.sqrt(variance)], axis=-1).astype(np.float32)


@torch.inference_mode()
def pool_texts(encoder: TextEncoder, texts: list[str]) -> dict[str, np.ndarray]:
    """States (layers, 2 * hidden) float32 of each distinct text. Texts beyond the encoder's length are truncated."""
    distinct = sorted(set(texts))
    if not distinct:
        return {}
    # Two positions less than there are: RoBERTa and its kin begin to count behind the padding token.
    positions = getattr(encoder.model.config, "max_position_embeddings", None) or 514
    limit = min(encoder.tokenizer.model_max_length, positions - 2)
    # A tokenizer that adds nothing of its own makes no token of the empty text, and an encoder needs one.
    ids = [
        row or [encoder.tokenizer.pad_token_id or 0]
        for row in encoder.tokenizer(distinct, truncation=True, max_length=limit)["input_ids"]
    ]
    pooled: dict[str, np.ndarray] = {}
    for batch in bucket([float(len(row)) for row in ids], TEXT_TOKENS_PER_BATCH):
        inputs = encoder.tokenizer.pad({"input_ids": [ids[row] for row in batch]}, return_tensors="pt")
        device = encoder.model.device
        states = pooled_text_states(
            encoder.model, inputs["input_ids"].to(device), inputs["attention_mask"].to(device), encoder.layers
        ).numpy(force=True)
        pooled.update({distinct[row]: value for row, value in zip(batch, states, strict=True)})
    return pooled


def _ahead(
    threads: ThreadPoolExecutor, batches: list[list[int]], work: Callable[[list[int]], Any]
) -> Iterator[tuple[list[int], Any]]:
    """Each batch with `work` of it, in order, `work` running a few batches ahead in `threads`."""
    running: list[tuple[list[int], Future[Any]]] = []
    for batch in batches:
        running.append((batch, threads.submit(work, batch)))
        if len(running) > AHEAD:
            done, future = running.pop(0)
            yield done, future.result()
    for done, future in running:
        yield done, future.result()
