import json
import os
import resource
import shutil

import datasets
import numpy as np
import pytest
import soundfile
import torch
from noise_clips import bad_files, noise
from transformers import AutoModel

from mise_hf.cli import main
from mise_hf.corpora import read_corpus, write_prepared
from mise_hf.features import FeatureTable
from mise_hf.features.audio import read_audio
from mise_hf.features.encoders import load_audio_encoder, load_text_encoder
from mise_hf.features.extraction import extract
from mise_hf.features.pooler import combine_windows
from mise_hf.models.pooling_mise import pooled_audio_states


@pytest.fixture(scope="session")
def audio(whisper_dir):
    return load_audio_encoder(str(whisper_dir), (1, 3))


@pytest.fixture(scope="session")
def text(bert_dir):
    return load_text_encoder(str(bert_dir), None)


def run(source, out, *encoders, **options):
    return extract(source, out, *encoders, **{"progress": False, "shard_rows": 4, **options})


def same_tables(left, right, tolerance=0.0):
    assert left.ids.tolist() == right.ids.tolist() and left.labels.tolist() == right.labels.tolist()
    assert left.texts.tolist() == right.texts.tolist() and left.fingerprint == right.fingerprint
    for name in ("audio_states", "text_states"):
        ours, theirs = getattr(left, name), getattr(right, name)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(
                ours.astype(np.float32), theirs.astype(np.float32), atol=tolerance, rtol=tolerance
            )


def test_every_row_is_the_encoders_states_of_its_own_audio(make_corpus, audio, text, tmp_path):
    prepared = make_corpus([0.5, 1.0, 0.31, 2.2, 0.7, 0.71, 1.3, 0.9, 0.2, 1.1])
    result = run(prepared, tmp_path / "f", audio, text)
    assert result.complete and result.rows == 10 and not result.rejected
    assert result.audio_seconds == pytest.approx(8.92)
    table = FeatureTable.from_folder(tmp_path / "f")
    assert table.ids.tolist() == [f"{place:03d}" for place in range(10)]
    assert table.audio_states.shape == (10, 2, 32) and table.audio_states.dtype == np.float16
    assert table.text_states.shape == (10, 1, 16) and table.label_names == ("x", "y")
    for place, states in enumerate(table.audio_states):
        waveform = read_audio(tmp_path / "noise" / f"{place:03d}.wav", sampling_rate=16000)
        inputs = audio.extractor(waveform, sampling_rate=16000)
        wanted = pooled_audio_states(audio.model, inputs["input_features"], inputs["attention_mask"], (1, 3))
        np.testing.assert_allclose(states.astype(np.float32), wanted[0].numpy(), atol=2e-3, rtol=2e-3)


def test_features_load_as_a_dataset_and_back_into_a_table(make_corpus, audio, text, tmp_path):
    run(make_corpus([0.5, 1.0, 0.3, 0.8, 0.6]), tmp_path / "f", audio, text)
    shards = str(tmp_path / "f" / "shard-*.parquet")
    loaded = datasets.load_dataset("parquet", data_files=shards, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.features["audio_states"] == datasets.Array2D((2, 32), "float16")
    assert loaded.features["label"].names == ["x", "y"]
    same_tables(FeatureTable.from_dataset(loaded), FeatureTable.from_folder(tmp_path / "f"))
    some = FeatureTable.from_dataset(loaded.select([3, 1]))
    assert some.ids.tolist() == ["003", "001"]


def test_audio_only_text_only_and_missing_transcripts(make_corpus, audio, text, tmp_path):
    prepared = make_corpus([0.5, 0.6, 0.4])
    run(prepared, tmp_path / "a", audio)
    run(prepared, tmp_path / "t", None, text)
    heard, read = FeatureTable.from_folder(tmp_path / "a"), FeatureTable.from_folder(tmp_path / "t")
    assert heard.text_states is None and read.audio_states is None
    assert heard.fingerprint["text_encoder"] is None and read.fingerprint["sampling_rate"] is None
    unread = make_corpus([0.5, 0.6, 0.4], texts=False, name="unread")
    run(unread, tmp_path / "u", audio, text)
    assert np.isfinite(FeatureTable.from_folder(tmp_path / "u").text_states).all()
    result = run(unread, tmp_path / "v", None, text)
    assert [row["reason"] for row in result.rejected] == ["the row has no transcript"] * 3
    written = make_corpus([0, 0, 0], audio=False, name="written")
    run(written, tmp_path / "w", None, text)
    assert len(FeatureTable.from_folder(tmp_path / "w")) == 3
    result = run(written, tmp_path / "x", audio)
    assert result.rejected[0]["reason"] == "the row names no audio file"


def test_long_audio_in_windows_is_pooled_as_one(make_corpus, audio, tmp_path):
    prepared = make_corpus([7.0, 0.5])
    run(prepared, tmp_path / "f", audio, window_seconds=2.0)
    states = FeatureTable.from_folder(tmp_path / "f").audio_states[0].astype(np.float32)
    waveform = read_audio(tmp_path / "noise" / "000.wav", sampling_rate=16000)
    pieces = np.split(waveform, 4)
    inputs = audio.extractor(pieces, sampling_rate=16000)
    windows = pooled_audio_states(audio.model, inputs["input_features"], inputs["attention_mask"], (1, 3)).numpy()
    # Windows of equal length: the mean of means, and the spread within plus the spread between.
    mean = windows[..., :16].mean(axis=0)
    spread = np.sqrt((windows[..., 16:] ** 2 + (windows[..., :16] - mean) ** 2).mean(axis=0))
    np.testing.assert_allclose(states, np.concatenate([mean, spread], axis=-1), atol=2e-3, rtol=2e-3)


def test_forty_minutes_are_one_row(audio, tmp_path):
    block = noise(60.0)
    with soundfile.SoundFile(tmp_path / "long.wav", "w", 16000, 1, "PCM_U8") as file:
        for _ in range(40):
            file.write(block)
    (tmp_path / "list.csv").write_text("path,label\nlong.wav,x\n")
    write_prepared(read_corpus("manifest", tmp_path / "list.csv"), tmp_path / "p")
    result = run(tmp_path / "p", tmp_path / "f", audio)
    assert not result.rejected and result.audio_seconds == 2400
    # The noise repeats every two windows, and so do their states: all of it is as its first minute.
    soundfile.write(tmp_path / "long.wav", block, 16000, subtype="PCM_U8")
    write_prepared(read_corpus("manifest", tmp_path / "list.csv"), tmp_path / "p", overwrite=True)
    run(tmp_path / "p", tmp_path / "minute", audio)
    whole, minute = (FeatureTable.from_folder(tmp_path / name).audio_states for name in ("f", "minute"))
    np.testing.assert_allclose(whole.astype(np.float32), minute.astype(np.float32), atol=2e-3, rtol=2e-3)


def test_windows_combine_to_the_statistics_of_all_frames():
    rng = np.random.default_rng(0)
    frames = [rng.normal(place, 1 + place, (length, 2, 3)) for place, length in enumerate((50, 7, 1))]
    windows = np.stack([np.concatenate([part.mean(axis=0), part.std(axis=0)], axis=-1) for part in frames])
    whole = np.concatenate(frames)
    wanted = np.concatenate([whole.mean(axis=0), whole.std(axis=0)], axis=-1)
    np.testing.assert_allclose(combine_windows(windows, np.array([50, 7, 1])), wanted, atol=1e-6)


def test_bad_files_are_put_aside_with_their_reasons_and_strict_stops(clips_dir, audio, text, tmp_path):
    root = tmp_path / "odd"
    root.mkdir()
    bad = bad_files(root)
    soundfile.write(root / "six.wav", noise(0.5, 96000, 6), 96000, subtype="PCM_24")
    soundfile.write(root / "eight.wav", noise(0.5), 16000, subtype="PCM_U8")
    soundfile.write(root / "silent.wav", np.zeros(8000), 16000)
    soundfile.write(root / "short.wav", noise(0.01), 16000)
    names = [path.name for path in sorted(root.iterdir())]
    rows = "".join(f"{name},{name},x,s{place % 2}\n" for place, name in enumerate(names))
    (root / "list.csv").write_text("id,path,label,speaker\n" + rows)
    corpus = read_corpus("manifest", root / "list.csv")
    assert corpus.dropped == {"audio file has no byte": 1}
    write_prepared(corpus, tmp_path / "p")
    result = run(tmp_path / "p", tmp_path / "f", audio)
    rejected = {row["id"]: row["reason"] for row in result.rejected}
    assert set(rejected) == {*bad, "silent.wav", "short.wav"} - {"zero.wav"}
    for name, word in (
        ("nan.wav", "NaN"),
        ("cut.wav", "cut off"),
        ("silent.wav", "silent"),
        ("short.wav", "160 samples"),
    ):
        assert word in rejected[name]
    written = [json.loads(line) for line in (tmp_path / "f" / "rejected.jsonl").read_text().splitlines()]
    assert written == result.rejected
    assert FeatureTable.from_folder(tmp_path / "f").ids.tolist() == ["eight.wav", "good.flac", "good.wav", "six.wav"]
    with pytest.raises(ValueError, match=r"\.(wav|flac)"):
        run(tmp_path / "p", tmp_path / "strict", audio, strict=True)
    assert not (tmp_path / "strict" / "fingerprint.json").exists()


def test_a_whole_shard_of_bad_files_is_an_empty_shard(make_corpus, audio, tmp_path):
    prepared = make_corpus([0.5] * 8)
    for place in range(4):
        (tmp_path / "noise" / f"{place:03d}.wav").write_bytes(b"gone")
    result = run(prepared, tmp_path / "f", audio)
    assert len(result.rejected) == 4 and len(FeatureTable.from_folder(tmp_path / "f")) == 4
    for place in range(4, 8):
        (tmp_path / "noise" / f"{place:03d}.wav").write_bytes(b"gone")
    assert len(run(prepared, tmp_path / "g", audio).rejected) == 8
    with pytest.raises(ValueError, match=r"no row.*rejected\.jsonl"):
        FeatureTable.from_folder(tmp_path / "g")


@pytest.mark.parametrize("processes", [2, 3, 7])
def test_shards_over_processes_give_the_same_dataset(make_corpus, audio, text, tmp_path, processes):
    prepared = make_corpus(np.linspace(0.2, 1.5, 22).tolist())
    run(prepared, tmp_path / "one", audio, text)
    results = [
        run(prepared, tmp_path / "many", audio, text, rank=rank, processes=processes) for rank in range(processes)
    ]
    assert not results[0].complete and results[-1].complete
    assert sum(result.rows for result in results) == 22
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "many" / path.name).read_bytes(), path.name


def test_a_half_done_folder_is_continued_and_a_done_one_left_alone(make_corpus, audio, tmp_path):
    prepared = make_corpus([0.4] * 12)
    run(prepared, tmp_path / "f", audio)
    wanted = {path.name: path.read_bytes() for path in (tmp_path / "f").iterdir()}
    (tmp_path / "f" / "shard-000001-of-000003.parquet").unlink()
    (tmp_path / "f" / "fingerprint.json").unlink()
    (tmp_path / "f" / ".shard-000001-of-000003.parquet.99.tmp").write_bytes(b"half")
    with pytest.raises(ValueError, match="no finished features"):
        FeatureTable.from_folder(tmp_path / "f")
    assert run(prepared, tmp_path / "f", audio).rows == 4
    assert {path.name: path.read_bytes() for path in (tmp_path / "f").iterdir()} == wanted
    assert run(prepared, tmp_path / "f", audio).rows == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "f").iterdir()} == wanted


def test_a_folder_of_another_extraction_is_refused(make_corpus, audio, text, whisper_dir, tmp_path):
    prepared = make_corpus([0.4] * 5)
    run(prepared, tmp_path / "f", audio)
    other = load_audio_encoder(str(whisper_dir), (2,))
    for encoders, options, said in (
        ((other,), {}, r"audio_layers is \[2\] in this run and \[1, 3\]"),
        ((audio, text), {}, "text_encoder is 'tiny-bert'.* in this run and missing"),
        ((audio,), {"shard_rows": 2}, "shard_rows 4, and this run has 2"),
        ((audio,), {"window_seconds": 5.0}, "window_seconds 30.0, and this run has 5.0"),
    ):
        with pytest.raises(ValueError, match=said):
            run(prepared, tmp_path / "f", *encoders, **options)
    with pytest.raises(ValueError, match="this run has"):
        run(make_corpus([0.4] * 6, name="more"), tmp_path / "f", audio)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(ValueError, match="is not empty"):
        run(prepared, tmp_path / "mine", audio)


def test_another_encoder_of_the_same_shape_does_not_continue_a_killed_extraction(
    make_corpus, audio, whisper_dir, tmp_path
):
    prepared = make_corpus([0.4] * 8)
    run(prepared, tmp_path / "f", audio, processes=2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "f").iterdir()}
    model = AutoModel.from_pretrained(whisper_dir)
    with torch.no_grad():
        model.encoder.conv1.bias += 0.01
    model.save_pretrained(tmp_path / "tuned")
    shutil.copy(whisper_dir / "preprocessor_config.json", tmp_path / "tuned")
    with pytest.raises(ValueError, match=r"audio_encoder is 'tuned' \(weights .* in this run and 'tiny-whisper'"):
        run(prepared, tmp_path / "f", load_audio_encoder(str(tmp_path / "tuned"), (1, 3)))
    assert {path.name: path.read_bytes() for path in (tmp_path / "f").iterdir()} == before


def during_the_first_write(monkeypatch, what):
    """Let `what` happen when the next temporary file is written and not yet named."""
    fsync, waiting = os.fsync, [what]

    def once(descriptor):
        fsync(descriptor)
        if waiting:
            waiting.pop()()

    monkeypatch.setattr("mise_hf.features.shards.os.fsync", once)


def test_two_runs_at_once_into_one_folder_make_the_dataset_of_one(make_corpus, audio, tmp_path, monkeypatch):
    prepared = make_corpus([0.4] * 12)
    run(prepared, tmp_path / "one", audio)
    run(prepared, tmp_path / "two", audio, rank=1, processes=3)
    # The other run does the rest, finishes, and clears away the temporary file of this one.
    during_the_first_write(monkeypatch, lambda: run(prepared, tmp_path / "two", audio))
    result = run(prepared, tmp_path / "two", audio)
    assert result.complete and result.rows == 4
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    assert len(list((tmp_path / "two").iterdir())) == len(list((tmp_path / "one").iterdir()))


def test_of_two_different_runs_at_once_the_first_plan_counts(make_corpus, audio, whisper_dir, tmp_path, monkeypatch):
    prepared = make_corpus([0.4] * 5)
    other = load_audio_encoder(str(whisper_dir), (2,))
    during_the_first_write(monkeypatch, lambda: run(prepared, tmp_path / "f", other))
    with pytest.raises(ValueError, match=r"audio_layers is \[1, 3\] in this run and \[2\]"):
        run(prepared, tmp_path / "f", audio)
    assert FeatureTable.from_folder(tmp_path / "f").audio_layers == (2,)
    assert not list((tmp_path / "f").glob(".*"))


def test_a_full_disk_says_so_and_the_next_run_goes_on(make_corpus, audio, whisper_dir, tmp_path, capsys):
    prepared = make_corpus([0.4] * 12)
    run(prepared, tmp_path / "whole", audio)
    run(prepared, tmp_path / "f", audio, rank=1, processes=3)
    words = ["extract", prepared, "--audio-encoder", whisper_dir, "--layers", "1,3", "--out", tmp_path / "f"]
    words = [*map(str, words), "--shard-rows", "4", "--quiet"]
    # The kernel refuses to let files grow, as a full disk does.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        status = main(words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 1 and "File too large" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "f").iterdir()) == ["plan.json", "shard-000001-of-000003.parquet"]
    assert main(words) == 0
    same_tables(FeatureTable.from_folder(tmp_path / "f"), FeatureTable.from_folder(tmp_path / "whole"), 2e-3)


def test_bad_settings_are_refused(make_corpus, audio, tmp_path):
    prepared = make_corpus([0.4])
    for options, said in (
        ({"window_seconds": 60.0}, "windows of 60.0 s; wanted .*30.0 s at most"),
        ({"window_seconds": 0.0}, "windows of 0.0 s"),
        ({"shard_rows": 0}, "a shard has 0 rows"),
        ({"rank": 2, "processes": 2}, "rank is 2 of 2"),
        ({"batch_seconds": 0.0}, "batches of 0.0 s"),
    ):
        with pytest.raises(ValueError, match=said):
            run(prepared, tmp_path / "f", audio, **options)
        assert not (tmp_path / "f").exists()
    with pytest.raises(ValueError, match="neither an audio encoder nor a text encoder"):
        run(prepared, tmp_path / "g")
    with pytest.raises(ValueError, match="run `mise-hf prepare` first"):
        run(tmp_path / "nowhere", tmp_path / "h", audio)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_refused(make_corpus, audio, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ValueError, match="cannot be written"):
        run(make_corpus([0.4]), tmp_path / "locked" / "f", audio)


def flags(source, out, whisper_dir, bert_dir, *more):
    words = [source, "--audio-encoder", whisper_dir, "--text-encoder", bert_dir, "--layers", "1,3", "--out", out]
    return ["extract", *map(str, words), "--shard-rows", "4", *more]


def test_the_command_tells_speed_and_rejections_by_its_status(make_corpus, whisper_dir, bert_dir, tmp_path, capsys):
    prepared = make_corpus([0.5, 0.6, 0.7])
    (tmp_path / "noise" / "001.wav").write_bytes(b"oops")
    words = flags(prepared, tmp_path / "f", whisper_dir, bert_dir)
    assert main(words) == 3
    told = capsys.readouterr()
    assert "1 rows were rejected" in told.err and "rejected.jsonl" in told.err
    # The bar is for terminals.
    assert "audio-seconds/s" in told.out and "rows/s" not in told.err
    shutil.rmtree(tmp_path / "f")
    assert main([*words, "--strict"]) == 1
    assert "001.wav' does not decode" in capsys.readouterr().err
