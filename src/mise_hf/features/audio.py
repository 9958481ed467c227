"""Audio files to mono waveforms at the encoder's sampling rate, in windows, whatever the file's length."""

import math
import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
import torch
from torchaudio.functional import resample

from mise_hf.models.feature_extraction_mise import SILENCE

# Read beyond a window on both sides, so that resampling leaves no edge inside the recording.
MARGIN_SECONDS = 0.05
# Encoders count the lengths of compressed audio in different ways.
LENGTH_TOLERANCE_SECONDS = 0.1
# Bytes by which careless writers are wrong about a wav's size.
HEADER_TOLERANCE = 64
# Rates that share no factor (44101 Hz) would need a filter bank of gigabytes; all usual ones are exact with this.
LARGEST_FACTOR = 1000


def read_audio(path: str | os.PathLike[str], *, sampling_rate: int) -> np.ndarray:
    """The whole of an audio file, channels averaged, resampled.

    Args:
        path: wav, flac, ogg, mp3 or whatever libsndfile reads.
        sampling_rate: wanted, in Hz.

    Returns:
        float32 (samples,).

    Raises:
        ValueError: for a file that is missing, does not decode, or holds no sound, NaN or infinity.
    """
    windows = list(read_windows(path, sampling_rate=sampling_rate, window_seconds=None))
    return windows[0]


def read_windows(
    path: str | os.PathLike[str], *, sampling_rate: int, window_seconds: float | None
) -> Iterator[np.ndarray]:
    """An audio file as waveforms of equal length, of at most `window_seconds`; never more of it in memory than one.

    Windows that hold no sound are left out.

    Args:
        path: wav, flac, ogg, mp3 or whatever libsndfile reads.
        sampling_rate: wanted, in Hz.
        window_seconds: longest window in seconds; None for the whole file in one.

    Yields:
        float32 (samples,), channels averaged, resampled.

    Raises:
        ValueError: as `read_audio`.
    """
    name = os.fspath(path)
    if not Path(name).is_file():
        raise ValueError(f"{name!r} is no file")
    _require_whole(Path(name))
    found = False
    try:
        with soundfile.SoundFile(name) as file:
            if file.frames <= 0:
                raise ValueError(f"{name!r} holds no sample")
            for waveform in _windows(file, name, sampling_rate, window_seconds):
                if np.ptp(waveform) > SILENCE:
                    found = True
                    yield waveform
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{name!r} does not decode: {error.error_string}") from error
    if not found:
        raise ValueError(f"{name!r} is silent from end to end")


def _require_whole(path: Path) -> None:
    """Raise for an empty file, and for a wav that is shorter than its header tells: libsndfile reads that without a
    word. A header of a stream tells no length."""
    size = path.stat().st_size
    if size == 0:
        raise ValueError(f"{str(path)!r} has no byte")
    with path.open("rb") as file:
        head = file.read(8)
    told = int.from_bytes(head[4:], "little") + 8
    if head[:4] == b"RIFF" and told not in (8, 0xFFFFFFFF + 8) and size < told - HEADER_TOLERANCE:
        raise ValueError(f"{str(path)!r} is cut off: its header tells of {told} bytes and it has {size}")


def _windows(
    file: soundfile.SoundFile, name: str, sampling_rate: int, window_seconds: float | None
) -> Iterator[np.ndarray]:
    rate = file.samplerate
    ratio = Fraction(rate, sampling_rate).limit_denominator(LARGEST_FACTOR)
    pieces = 1 if window_seconds is None else max(1, math.ceil(file.frames / (window_seconds * rate)))
    # Edges and margins are whole numbers of samples at both rates, so that the margin can be cut off exactly.
    unit = ratio.numerator
    margin = unit * max(1, round(MARGIN_SECONDS * rate / unit)) if pieces > 1 else 0
    edges = [unit * round(piece * file.frames / pieces / unit) for piece in range(pieces)] + [file.frames]
    for start, stop in pairwise(edges):
        first = max(start - margin, 0)
        last = min(stop + margin, file.frames)
        file.seek(first)
        samples = file.read(last - first, dtype="float32", always_2d=True)
        if len(samples) < last - first - rate * LENGTH_TOLERANCE_SECONDS:
            raise ValueError(
                f"{name!r} is cut off: its header tells of {file.frames} samples and only {first + len(samples)} decode"
            )
        if not np.isfinite(samples).all():
            raise ValueError(f"{name!r} holds NaN or infinity")
        waveform = samples.mean(axis=1)
        if ratio != 1:
            waveform = resample(torch.from_numpy(waveform), ratio.numerator, ratio.denominator).numpy()
        before = (start - first) // unit * ratio.denominator
        wanted = math.ceil((stop - start) / ratio)
        yield waveform[before : before + wanted]
