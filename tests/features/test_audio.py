import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from noise_clips import bad_files, noise
from torchaudio.functional import resample

from mise_hf.features.audio import read_audio, read_windows


def tone(seconds, rate, hertz=440.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_every_sample_type_gives_the_same_waveform(tmp_path, subtype):
    wanted = tone(0.5, 16000)
    soundfile.write(tmp_path / "a.wav", wanted, 16000, subtype=subtype)
    got = read_audio(tmp_path / "a.wav", sampling_rate=16000)
    assert got.dtype == np.float32 and got.shape == (8000,)
    np.testing.assert_allclose(got, wanted, atol={"ULAW": 0.03, "PCM_U8": 0.01}.get(subtype, 1e-4))


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_every_container(tmp_path, kind):
    soundfile.write(tmp_path / f"a.{kind}", tone(1.0, 16000), 16000)
    got = read_audio(tmp_path / f"a.{kind}", sampling_rate=16000)
    spectrum = np.abs(np.fft.rfft(got))
    assert abs(np.argmax(spectrum) * 16000 / len(got) - 440) < 2


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 44101, 48000, 96000])
def test_every_rate_keeps_pitch_length_and_level(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(1.0, rate), rate)
    got = read_audio(tmp_path / "a.wav", sampling_rate=16000)
    assert abs(len(got) - 16000) <= 1
    middle = slice(2000, 14000)
    np.testing.assert_allclose(got[middle], tone(1.0, 16000)[middle], atol=0.02)


def test_channels_are_averaged(tmp_path):
    channels = np.stack([tone(0.5, 96000, hertz) for hertz in (200, 300, 400, 500, 600, 700)], axis=1)
    soundfile.write(tmp_path / "a.wav", channels, 96000, subtype="PCM_24")
    got = read_audio(tmp_path / "a.wav", sampling_rate=16000)
    mean = torch.from_numpy(channels.mean(axis=1).astype(np.float32))
    np.testing.assert_allclose(got, resample(mean, 96000, 16000), atol=1e-5)


@pytest.mark.parametrize("rate", [16000, 44100, 96000, 8000])
def test_windows_put_together_are_the_whole(tmp_path, rate):
    samples = noise(7.3, rate)[:, 0]
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    whole = read_audio(tmp_path / "a.wav", sampling_rate=16000)
    windows = list(read_windows(tmp_path / "a.wav", sampling_rate=16000, window_seconds=2.0))
    assert len(windows) == 4 and max(map(len, windows)) - min(map(len, windows)) <= 16000 // 100
    assert sum(map(len, windows)) == len(whole)
    # What is outside a window reaches into it through the margin, so that the seams do not show.
    np.testing.assert_allclose(np.concatenate(windows), whole, atol=1e-5)


def test_silent_windows_are_left_out_and_silence_from_end_to_end_is_refused(tmp_path):
    samples = noise(6.0)[:, 0]
    samples[:32000] = 0
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    assert len(list(read_windows(tmp_path / "a.wav", sampling_rate=16000, window_seconds=2.0))) == 2
    soundfile.write(tmp_path / "b.wav", np.zeros(32000), 16000)
    with pytest.raises(ValueError, match=r"b\.wav' is silent"):
        read_audio(tmp_path / "b.wav", sampling_rate=16000)


def test_bad_files_are_refused_by_name(tmp_path):
    for name in (*bad_files(tmp_path), "missing.wav"):
        with pytest.raises(ValueError, match=name.replace(".", r"\.")):
            read_audio(tmp_path / name, sampling_rate=16000)
    with pytest.raises(ValueError, match="is no file"):
        read_audio(tmp_path, sampling_rate=16000)


def test_a_wav_that_was_streamed_without_a_length_is_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(1.0)[:, 0], 16000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(content)
    assert len(read_audio(tmp_path / "a.wav", sampling_rate=16000)) == 16000


def test_forty_minutes_in_stereo_stay_flat_in_memory(tmp_path):
    block = noise(60.0, 44100, 2)
    with soundfile.SoundFile(tmp_path / "long.wav", "w", 44100, 2, "PCM_U8") as file:
        for _ in range(40):
            file.write(block)
    code = (
        "import resource, sys\n"
        "from mise_hf.features.audio import read_windows\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "rows = sum(len(w) for w in read_windows(sys.argv[1], sampling_rate=16000, window_seconds=30.0))\n"
        "print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "long.wav"], capture_output=True, text=True, check=True
    )
    samples, kilobytes = map(int, done.stdout.split())
    assert samples == 40 * 60 * 16000
    # The whole would be 850 MB as float32.
    assert kilobytes < 250_000
