"""Features streamed from many shards: every row once an epoch, the same for any number of processes, filtered."""

import json

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from mise_hf.features import FeatureTable
from mise_hf.features.shards import feature_columns, shard_path, write_shard
from mise_hf.training import generator as generator_module
from mise_hf.training.arguments import GeneratorArguments, parse_arguments
from mise_hf.training.rows import rows_in_encoder_space
from mise_hf.training.stream import FeatureStream
from mise_hf.training.stream_index import read_index
from mise_hf.training.stream_rows import StreamedRows, StreamSource

LABELS = ("anger", "joy", "sadness")
FINGERPRINT = {"pooling": "mean+std", "audio_layers": [1, 2], "text_layers": [1], "sampling_rate": 16000}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """240 rows in 12 shards of 14 to 26; the first number of a row is its own."""
    path = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    columns = feature_columns(LABELS, (2, 10), (1, 8))
    start = 0
    for shard in range(12):
        count = 14 + 12 * (shard % 2)
        numbers = np.arange(start, start + count)
        start += count
        states = rng.normal(size=(count, 2, 10)).astype(np.float16)
        states[:, 1, 1] += 4 * (numbers % 3)
        states[:, 0, 0] = numbers
        rows = [
            {**dict.fromkeys(columns), "id": f"u{i}", "label": int(i % 3), "speaker": f"s{i % 4}", "corpus": "toy"}
            for i in numbers
        ]
        text = rng.normal(size=(count, 1, 8)).astype(np.float16)
        made = {"audio_states": states, "text_states": text}
        write_shard(shard_path(path, shard, 12), columns, rows, made, FINGERPRINT, [])
    (path / "fingerprint.json").write_text(json.dumps(FINGERPRINT))
    return path


def numbers(rows) -> list[int]:
    return rows.audio_states[:, 0, 0].astype(int).tolist()


def test_an_epoch_has_every_row_once_and_the_next_another_order(folder):
    stream = FeatureStream(read_index(folder), batch_size=8, buffer_rows=60, lanes=1)
    first, second = ([numbers(stream.batch(i)) for i in range(start, start + 30)] for start in (0, 30))
    for epoch in (first, second):
        assert sorted(number for batch in epoch for number in batch) == list(range(240))
    assert first != second
    # Shuffled among blocks, not within one alone.
    assert len({number // 14 for number in first[0]}) > 1


def test_processes_read_their_own_blocks_and_make_the_batch_of_one(folder):
    index = read_index(folder)
    options = {"batch_size": 16, "buffer_rows": 80, "lanes": 4, "seed": 3}
    whole = FeatureStream(index, **options)
    parts = [FeatureStream(index, **options, rank=rank, world=2) for rank in range(2)]
    seen = [set(), set()]
    for number in (0, 1, 2, 13, 5, 40):
        made = [numbers(part.batch(number)) for part in parts]
        assert made[0] + made[1] == numbers(whole.batch(number))
        if number < 6:
            for rank in range(2):
                seen[rank] |= set(made[rank])
    assert not seen[0] & seen[1]


def test_excluded_speakers_are_never_read(folder):
    index = read_index(folder, ["s1"])
    assert len(index) == 180 and index.speakers == ["s0", "s2", "s3"] and index.counts.sum() == 180
    stream = FeatureStream(index, batch_size=4, buffer_rows=50, lanes=2, text=True)
    rows = [stream.batch(number) for number in range(30)]
    assert all(number % 4 != 1 for part in rows for number in numbers(part))
    assert rows[0].text_states.shape == (4, 1, 8)


def test_statistics_are_those_of_the_table(folder):
    table = FeatureTable.from_folder(folder)
    arguments = GeneratorArguments(batch_size=16, layers=[2], feature_size=6, stream=True, features=str(folder))
    rows = StreamedRows(read_index(folder), arguments, Accelerator(cpu=True))
    whole = rows_in_encoder_space(table, 2, 6)
    assert torch.allclose(rows.space.components, whole.space.components, atol=1e-4)
    streamed = generator_module.make_generator(rows, arguments, label_names=LABELS)
    from_table = generator_module.make_generator(whole, arguments, label_names=LABELS)
    StreamSource(rows, paired=False, text=False).start(streamed)
    from_table.start_from(whole.features, whole.labels)
    for name in ("class_means.weight", "feature_mean"):
        assert torch.allclose(
            streamed.get_parameter_or_buffer(name), from_table.get_parameter_or_buffer(name), atol=1e-4
        )
    first, second = (made.noise_factor.weight for made in (streamed, from_table))
    assert torch.allclose(first @ first.t(), second @ second.t(), atol=1e-4)


@pytest.mark.parametrize("more", [[], ["--text", "true", "--paired", "true", "--mi_estimator", "info_nce"]])
def test_a_generator_trains_on_a_stream_and_goes_on_exactly(folder, tmp_path, monkeypatch, more):
    argv = ["--features", str(folder), "--stream", "true", "--steps", "8", "--batch_size", "16", "--layers", "2"]
    argv += ["--feature_size", "6", "--hidden_size", "16", "--save_every", "3", "--buffer_rows", "64", *more]
    argv += ["--exclude_speakers", "s3"]
    generator_module.main([*argv, "--output_dir", str(tmp_path / "whole")])

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(generator_module.GeneratorTraining, "degenerate", stop)
        patched.setattr("mise_hf.training.loop.CHECK_EVERY", 5)
        with pytest.raises(KeyboardInterrupt):
            generator_module.main([*argv, "--output_dir", str(tmp_path / "cut")])
    generator_module.main([*argv, "--output_dir", str(tmp_path / "cut")])
    metrics = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert metrics[0] == metrics[1] and len(metrics[0].splitlines()) == 8
    corpora = json.loads((tmp_path / "cut" / "config.json").read_text())["training_corpora"]
    assert corpora[0]["utterances"] == 180 and corpora[0]["speakers"] == ["s0", "s1", "s2"]


def test_lanes_and_folders_that_do_not_fit_are_refused(folder, tmp_path):
    index = read_index(folder)
    for options, message in (
        ({"batch_size": 16, "lanes": 13}, "stream_lanes is 13; wanted 1 to 12"),
        ({"batch_size": 16, "lanes": 3}, "wanted a divisor of the batch size 16"),
        ({"batch_size": 16, "lanes": 4, "world": 3}, "multiple of the 3 processes"),
    ):
        with pytest.raises(ValueError, match=message):
            FeatureStream(index, buffer_rows=10, **options)
    with pytest.raises(ValueError, match="no finished features"):
        read_index(tmp_path)
    with pytest.raises(ValueError, match=r"\['nobody'\]; wanted some of"):
        read_index(folder, ["nobody"])
    with pytest.raises(ValueError, match="features is 'emodb'; wanted a folder"):
        parse_arguments(GeneratorArguments, ["--stream", "true"])
    with pytest.raises(ValueError, match="a lane has fewer rows than its 128"):
        FeatureStream(index, batch_size=1024, buffer_rows=10, lanes=8).batch(0)
