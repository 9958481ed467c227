import pickle

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Sequence, Value
from torch.utils.data import DataLoader

from mise_hf.augmentation import SyntheticFeatures

LABELS = ["anger", "joy", "sadness"]


def make_dataset(rows: int = 40) -> Dataset:
    rng = np.random.default_rng(1)
    columns = {
        "id": [f"u{i}" for i in range(rows)],
        "label": [i % 3 for i in range(rows)],
        "speaker": [f"s{i % 4}" for i in range(rows)],
        "features": rng.normal(size=(rows, 6)).astype("float32").tolist(),
        "text_features": rng.normal(size=(rows, 4)).astype("float32").tolist(),
    }
    types = Features(
        id=Value("string"),
        label=ClassLabel(names=LABELS),
        speaker=Value("string"),
        features=Sequence(Value("float32")),
        text_features=Sequence(Value("float32")),
    )
    return Dataset.from_dict(columns, features=types)


def test_replace_keeps_the_row_count_and_marks_its_share(tiny_generator):
    data = make_dataset(400)
    out = data.with_transform(SyntheticFeatures(tiny_generator, ratio=0.3, seed=1))[:]
    assert len(out["features"]) == 400
    assert 0.2 < np.mean(out["is_synthetic"]) < 0.4
    real = np.array(data["features"])
    for row, (new, synthetic) in enumerate(zip(out["features"], out["is_synthetic"], strict=True)):
        assert np.array_equal(np.float32(real[row]), new) is (not synthetic)
        assert (out["speaker"][row] is None) is synthetic


def test_a_row_does_not_depend_on_workers_or_batch_size(tiny_generator):
    data = make_dataset(40).with_transform(SyntheticFeatures(tiny_generator, ratio=0.5, seed=3))

    def rows(workers: int, batch: int) -> dict:
        found = {}
        for part in DataLoader(data, batch_size=batch, num_workers=workers, collate_fn=lambda part: part):
            found |= {row["id"]: row for row in part}
        return found

    one, other = rows(0, 7), rows(2, 16)
    assert one.keys() == other.keys()
    for row_id in one:
        assert one[row_id]["label"] == other[row_id]["label"]
        assert one[row_id]["is_synthetic"] == other[row_id]["is_synthetic"]
        assert np.allclose(one[row_id]["features"], other[row_id]["features"], atol=1e-5)


def test_epochs_and_seeds_draw_anew_and_a_seed_repeats(tiny_generator):
    batch = make_dataset()[:]
    first = SyntheticFeatures(tiny_generator, ratio=1.0, seed=3)
    again = pickle.loads(pickle.dumps(first))
    assert np.array_equal(first(batch)["features"], again(batch)["features"])
    again.set_epoch(1)
    assert not np.allclose(first(batch)["features"], again(batch)["features"])
    other = SyntheticFeatures(tiny_generator, ratio=1.0, seed=4)
    assert not np.allclose(first(batch)["features"], other(batch)["features"])


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_append_adds_rows_in_map(tiny_generator, ratio):
    data = make_dataset(200)
    transform = SyntheticFeatures(tiny_generator, ratio=ratio, mode="append", balance="none", seed=0)
    out = data.map(transform, batched=True, batch_size=64, remove_columns=data.column_names)
    added = [row for row in out if row["is_synthetic"]]
    assert len(out) == 200 + len(added)
    assert abs(len(added) / 200 - ratio) < 0.15
    assert all(row["speaker"] is None and row["id"].startswith("synthetic:") for row in added)
    assert len({row["id"] for row in out}) == len(out)
    assert len(added[0]["features"]) == 6 and len(added[0]["text_features"]) == 4
    kept = [row for row in out if not row["is_synthetic"]]
    assert [row["id"] for row in kept] == list(data["id"])


def test_append_in_a_stream_gives_the_same_rows_as_map(tiny_generator):
    data = make_dataset(30)
    transform = SyntheticFeatures(tiny_generator, ratio=1.0, mode="append", seed=0)
    mapped = data.map(transform, batched=True, batch_size=10, remove_columns=data.column_names)
    stream = data.to_iterable_dataset().map(transform, batched=True, batch_size=10)
    streamed = {row["id"]: row for row in stream}
    assert set(mapped["id"]) == set(streamed)
    for row in mapped:
        assert np.allclose(row["features"], streamed[row["id"]]["features"], atol=1e-5)


def test_append_under_with_transform_raises_instead_of_losing_rows(tiny_generator):
    data = make_dataset().with_transform(SyntheticFeatures(tiny_generator, mode="append", seed=0))
    for access in (lambda: data[0], lambda: data[:4], lambda: next(iter(data))):
        with pytest.raises(ValueError, match="with_transform"):
            access()


def test_inverse_balance_makes_the_rare_class_most(tiny_generator):
    batch = make_dataset(600)[:]
    out = SyntheticFeatures(tiny_generator, ratio=1.0, balance="inverse", class_counts=[100, 100, 10], seed=0)(batch)
    shares = np.bincount(out["label"], minlength=3) / 600
    assert np.allclose(shares, [1 / 12, 1 / 12, 10 / 12], atol=0.06)


def test_generated_rows_carry_their_label(tiny_generator):
    """Rows that claim an emotion lie nearest to that emotion's mean more often than chance."""
    batch = make_dataset(900)[:]
    out = SyntheticFeatures(tiny_generator, ratio=1.0, balance="uniform", seed=0)(batch)
    means = tiny_generator.class_means.weight[:, :6].detach().numpy()
    made = np.array(out["features"])
    nearest = ((made[:, None] - means[None]) ** 2).sum(2).argmin(1)
    assert np.mean(nearest == np.array(out["label"])) > 1 / 3 + 0.05


def test_text_conditions_the_rows(tiny_generator):
    batch = make_dataset(20)[:]
    torch.nn.init.normal_(tiny_generator.output.weight)
    with_text = SyntheticFeatures(tiny_generator, ratio=1.0, text=np.ones((3, 4)), seed=0)(batch)
    without = SyntheticFeatures(tiny_generator, ratio=1.0, seed=0)(batch)
    assert not np.allclose(with_text["features"], without["features"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 1.5}, "ratio is 1.5; wanted 0 to 1"),
        ({"ratio": -0.1}, "ratio is -0.1"),
        ({"mode": "add"}, "mode is 'add'; wanted one of replace, append"),
        ({"balance": "even"}, "balance is 'even'"),
        ({"balance": "inverse"}, "class_counts"),
        ({"balance": "inverse", "class_counts": [1, 2]}, "wanted 3 counts"),
        ({"text": np.ones((0, 4))}, "0 rows"),
        ({"text": np.full((2, 4), np.nan)}, "NaN"),
        ({"text": np.ones((2, 9))}, r"text has shape \(2, 9\)"),
        ({"fingerprint": {"pooling": "max", "audio_layers": [1, 2], "sampling_rate": 16000}}, "max.*mean"),
    ],
)
def test_bad_arguments_are_refused(tiny_generator, arguments, message):
    with pytest.raises(ValueError, match=message):
        SyntheticFeatures(tiny_generator, **{"seed": 0, **arguments})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": [[1.0] * 5]}, r"\(1, 5\); wanted \(rows, 6\)"),
        ({"features": [[np.nan] * 6]}, "NaN"),
        ({"label": ["bliss"]}, "bliss.*anger"),
        ({"label": [7]}, "7"),
        ({"label": [1.7]}, "1.7"),
    ],
)
def test_bad_batches_are_refused(tiny_generator, change, message):
    batch = {"id": ["u"], "label": ["joy"], "features": [[0.0] * 6], "text_features": [[0.0] * 4]} | change
    with pytest.raises(ValueError, match=message):
        SyntheticFeatures(tiny_generator, ratio=1.0, seed=0)(batch)
