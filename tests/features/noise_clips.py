"""Clips of noise, and files that no reader can make sense of."""

import numpy as np
import soundfile


def noise(seconds, rate=16000, channels=1, seed=0):
    """float64 (samples, channels) in -0.5 to 0.5."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate), channels))


def bad_files(folder):
    """Name to bytes of files that no reader can make sense of."""
    soundfile.write(folder / "good.wav", noise(1.0)[:, 0], 16000)
    soundfile.write(folder / "good.flac", noise(1.0)[:, 0], 16000)
    soundfile.write(folder / "empty.wav", np.zeros((0, 1)), 16000)
    values = noise(1.0)[:, 0]
    values[5000] = np.nan
    soundfile.write(folder / "nan.wav", values, 16000, subtype="FLOAT")
    (folder / "zero.wav").write_bytes(b"")
    (folder / "text.wav").write_bytes(b"this is no audio at all\n" * 50)
    (folder / "header.wav").write_bytes((folder / "good.wav").read_bytes()[:30])
    (folder / "cut.wav").write_bytes((folder / "good.wav").read_bytes()[:16000])
    (folder / "cut.flac").write_bytes((folder / "good.flac").read_bytes()[:9000])
    garbled = bytearray((folder / "good.flac").read_bytes())
    garbled[:60] = b"\x00" * 60
    (folder / "garbled.flac").write_bytes(garbled)
    return ("empty.wav", "nan.wav", "zero.wav", "text.wav", "header.wav", "cut.wav", "cut.flac", "garbled.flac")
