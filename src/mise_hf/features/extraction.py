"""Prepared corpus to feature folder: streaming, resumable, over any number of processes.

A feature folder holds `plan.json` (what is being made), `shard-*.parquet`, and when all shards are there
`fingerprint.json`, `rejected.jsonl` and `summary.json`. Every process takes the shards of its rank and skips those that
exist. Processes of one launch wait for one another: before the first shard, while rank 0 writes the plan, and after the
last, while rank 0 finishes the folder. Without a launch (a job array) nobody waits: the first plan counts, whoever sees
all shards finishes the folder, and finishing it twice writes the same bytes.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from mise_hf.corpora.prepared import PreparedCorpus, read_prepared
from mise_hf.features.encoders import AudioEncoder, TextEncoder
from mise_hf.features.fingerprint import POOLING, require_same
from mise_hf.features.pooler import AudioPooler, Pooled, pool_texts
from mise_hf.features.shards import (
    feature_columns,
    read_rejected,
    shard_path,
    shard_ranges,
    write_shard,
    write_text,
)
from mise_hf.models.pooling_mise import encoder_hidden_size

PLAN = "plan.json"
FINGERPRINT = "fingerprint.json"
REJECTED = "rejected.jsonl"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Result:
    """What an extraction did.

    Attributes:
        folder: the feature folder.
        complete: whether all shards are there (other processes may still be at theirs).
        rows: utterances of this process's new shards.
        audio_seconds: of this process's new shards.
        wall_seconds: from the first row to the last, loading of encoders not counted.
        rejected: rows left out: of the whole folder where this process finished it, else of this process.
    """

    folder: Path
    complete: bool
    rows: int
    audio_seconds: float
    wall_seconds: float
    rejected: list[dict[str, Any]]


def make_fingerprint(audio: AudioEncoder | None, text: TextEncoder | None) -> dict[str, Any]:
    """The fingerprint of features that these encoders make, see `mise_hf.features.fingerprint`."""
    return {
        "audio_encoder": None if audio is None else audio.identity,
        "text_encoder": None if text is None else text.identity,
        "audio_layers": [] if audio is None else list(audio.layers),
        "text_layers": [] if text is None else list(text.layers),
        "pooling": POOLING,
        "sampling_rate": None if audio is None else audio.extractor.sampling_rate,
    }


def extract(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    audio: AudioEncoder | None = None,
    text: TextEncoder | None = None,
    *,
    batch_seconds: float = 30.0,
    window_seconds: float | None = None,
    shard_rows: int = 256,
    decoders: int = 1,
    strict: bool = False,
    rank: int = 0,
    processes: int = 1,
    wait: Callable[[], None] | None = None,
    progress: bool = True,
) -> Result:
    """Pooled states of a prepared corpus, written to the feature folder `out`.

    Args:
        source: folder of `mise-hf prepare`.
        out: folder to write; one that holds the same extraction half done is continued.
        audio: encoder of the audio, None for text only.
        text: encoder of the transcripts, None for audio only. A row without a transcript gets the states of the empty
            text, unless there is no audio encoder: then it is rejected.
        batch_seconds: of audio in a batch, padding included.
        window_seconds: longest window; longer audio is cut into windows of equal length.
        shard_rows: utterances in a shard.
        decoders: threads that decode ahead.
        strict: raise at the first bad file instead of noting it.
        rank: of this process.
        processes: that share the work.
        wait: returns when all processes have called it, for processes that were launched together; None for others.
        progress: whether to show a progress bar.

    Raises:
        ValueError: for a missing corpus or encoder, an `out` that holds another extraction or cannot be written, or
            the first bad file where `strict`.
        OSError: where the disk is full; what was written stays, and the same call goes on from there.
    """
    if audio is None and text is None:
        raise ValueError("neither an audio encoder nor a text encoder is given; wanted at least one")
    if not 0 <= rank < processes:
        raise ValueError(f"rank is {rank} of {processes} processes; wanted 0 to {processes - 1}")
    corpus = read_prepared(source)
    pooler = None
    if audio is not None:
        pooler = AudioPooler(audio, batch_seconds, window_seconds, decoders)
    fingerprint = make_fingerprint(audio, text)
    folder = Path(out)
    ranges = shard_ranges(len(corpus), shard_rows)
    plan = _plan(corpus, fingerprint, shard_rows, pooler)
    leads = wait is None or rank == 0
    if leads:
        _claim(folder, plan)
    if wait is not None:
        wait()
    _require_plan(folder, plan)
    mine = [index for index in range(len(ranges)) if index % processes == rank]
    left = [index for index in mine if not shard_path(folder, index, len(ranges)).exists()]
    rows = audio_seconds = 0.0
    rejected: list[dict[str, Any]] = []
    started = time.perf_counter()
    with _Progress(corpus, [ranges[index] for index in left], audio is not None, progress) as bar:
        if pooler is not None:
            pooler.on_batch = bar.add
        for index in left:
            if shard_path(folder, index, len(ranges)).exists():
                # Another run into the same folder was faster.
                continue
            shard = corpus.rows(*ranges[index])
            kept, states, bad = _pool_shard(shard, pooler, text, strict)
            if pooler is None:
                bar.add(len(shard), 0.0)
            features = feature_columns(
                corpus.label_names, _shape(audio) if audio else None, _shape(text) if text else None
            )
            write_shard(shard_path(folder, index, len(ranges)), features, kept, states, fingerprint, bad)
            rows += len(shard)
            audio_seconds += sum(row["duration"] or 0.0 for row in shard)
            rejected += bad
    wall_seconds = time.perf_counter() - started
    if wait is not None:
        wait()
    complete = all(shard_path(folder, index, len(ranges)).exists() for index in range(len(ranges)))
    if complete and leads:
        rejected = _finish(folder, len(ranges), fingerprint, corpus)
    if wait is not None:
        # Whoever returns finds the folder finished.
        wait()
    return Result(folder, complete, int(rows), audio_seconds, wall_seconds, rejected)


def _pool_shard(
    shard: list[dict[str, Any]], pooler: AudioPooler | None, text: TextEncoder | None, strict: bool
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray], list[dict[str, Any]]]:
    """Rows kept, their states as float16, and the rows left out with the reason."""
    heard = Pooled()
    usable = list(range(len(shard)))
    if pooler is not None:
        mute = {row: "the row names no audio file" for row in usable if not shard[row]["audio"]}
        usable = [row for row in usable if row not in mute]
        found = pooler.pool([shard[row]["audio"] for row in usable], [shard[row]["duration"] for row in usable], strict)
        heard.states = {usable[place]: states for place, states in found.states.items()}
        heard.rejected = mute | {usable[place]: reason for place, reason in found.rejected.items()}
    elif text is not None:
        heard.rejected = {row: "the row has no transcript" for row in usable if not shard[row]["text"]}
    if strict and heard.rejected:
        raise ValueError(f"{shard[min(heard.rejected)]['id']}: {heard.rejected[min(heard.rejected)]}")
    kept = [row for row in range(len(shard)) if row not in heard.rejected]
    states: dict[str, np.ndarray] = {}
    if pooler is not None:
        states["audio_states"] = _stack([heard.states[row] for row in kept], _shape(pooler.encoder))
    if text is not None:
        read = pool_texts(text, [shard[row]["text"] or "" for row in kept])
        states["text_states"] = _stack([read[shard[row]["text"] or ""] for row in kept], _shape(text))
    bad = [
        {"id": shard[row]["id"], "audio": shard[row]["audio"], "reason": heard.rejected[row]}
        for row in sorted(heard.rejected)
    ]
    return [shard[row] for row in kept], states, bad


def _shape(encoder: AudioEncoder | TextEncoder) -> tuple[int, int]:
    return len(encoder.layers), 2 * encoder_hidden_size(encoder.model.config)


def _stack(states: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    return np.stack(states).astype(np.float16) if states else np.zeros((0, *shape), np.float16)


def _plan(
    corpus: PreparedCorpus, fingerprint: dict[str, Any], shard_rows: int, pooler: AudioPooler | None
) -> dict[str, Any]:
    """What is about to be made: two extractions with the same plan make the same features."""
    return {
        "corpus": corpus.story["corpus"],
        "rows": len(corpus),
        "rows_sha256": _rows_sha256(corpus),
        "shard_rows": shard_rows,
        "window_seconds": None if pooler is None else pooler.window_seconds,
        "fingerprint": fingerprint,
    }


def _claim(folder: Path, plan: dict[str, Any]) -> None:
    """Write the plan where there is none.

    Raises:
        ValueError: where the folder holds something else, or cannot be written.
    """
    path = folder / PLAN
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Another process may be writing its (equal) plan at this moment.
            others = [entry.name for entry in folder.iterdir() if not entry.name.startswith((PLAN, f".{PLAN}"))]
            if others and not path.exists():
                raise ValueError(f"{str(folder)!r} is not empty and holds no extraction to continue; give another one")
            write_text(path, json.dumps(plan, indent=2) + "\n", first=True)
    except OSError as error:
        raise ValueError(f"{str(folder)!r} cannot be written: {error}") from error


def _require_plan(folder: Path, plan: dict[str, Any]) -> None:
    """Check that the folder holds this plan.

    Raises:
        ValueError: where it holds another.
    """
    theirs = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    require_same(plan["fingerprint"], theirs["fingerprint"], our_name="this run", their_name=str(folder))
    for name in plan:
        if name != "fingerprint" and plan[name] != theirs.get(name):
            raise ValueError(
                f"{str(folder)!r} holds features with {name} {theirs.get(name)!r}, and this run has {plan[name]!r}; "
                "give another folder, or the same corpus and settings to continue"
            )


def _rows_sha256(corpus: PreparedCorpus) -> str:
    """Hash of what the rows say, whatever folder the audio lies in."""
    digest = hashlib.sha256()
    for chunk in corpus.column_chunks("id", "text", "label", "speaker", "duration"):
        digest.update(repr(list(chunk.to_pydict().values())).encode())
    return digest.hexdigest()


def _finish(folder: Path, shards: int, fingerprint: dict[str, Any], corpus: PreparedCorpus) -> list[dict[str, Any]]:
    """Write what stands beside the shards; the rejected rows are returned."""
    rejected = [row for index in range(shards) for row in read_rejected(shard_path(folder, index, shards))]
    write_text(folder / REJECTED, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rejected))
    summary = {
        "corpus": corpus.story["corpus"],
        "protocol": corpus.story["protocol"],
        "label_map": corpus.story["label_map"],
        "rows": len(corpus) - len(rejected),
        "rejected": len(rejected),
        "shards": shards,
    }
    write_text(folder / SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / FINGERPRINT, json.dumps(fingerprint, indent=2) + "\n")
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
    return rejected


class _Progress:
    """Progress bar over seconds of audio (or rows, where there is no audio), with rows/s and audio-seconds/s."""

    def __init__(self, corpus: PreparedCorpus, ranges: list[tuple[int, int]], audio: bool, shown: bool) -> None:
        self.audio = audio
        total = float(sum(stop - start for start, stop in ranges))
        if audio and ranges:
            durations = np.concatenate(
                [chunk["duration"].to_numpy(zero_copy_only=False) for chunk in corpus.column_chunks("duration")]
            )
            durations = np.nan_to_num(durations.astype(np.float64))
            total = float(sum(durations[start:stop].sum() for start, stop in ranges))
        self.rows = 0
        # None: shown where standard error is a terminal.
        hidden = None if shown else True
        self.bar = tqdm(total=total + 1e-6, unit="audio-s" if audio else "row", disable=hidden, unit_scale=True)

    def __enter__(self) -> "_Progress":
        self.started = time.perf_counter()
        return self

    def add(self, rows: int, seconds: float) -> None:
        """Count a batch that is done."""
        self.rows += rows
        self.bar.update(seconds if self.audio else rows)
        elapsed = time.perf_counter() - self.started
        self.bar.set_postfix_str(f"{self.rows / max(elapsed, 1e-9):.1f} rows/s", refresh=False)

    def __exit__(self, *_: object) -> None:
        self.bar.close()
