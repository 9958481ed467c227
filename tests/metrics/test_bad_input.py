import numpy as np
import pandas as pd
import pytest
import torch

from mise_hf.metrics import carried_information, joint_information, label_information, vector_information
from mise_hf.metrics.mise_quality.quality import quality

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6))
Y = RNG.normal(size=(60, 3))
C = np.arange(60) % 3


def spoilt(value):
    out = X.copy()
    out[7, 2] = value
    return out


@pytest.mark.parametrize(
    ("labels", "features", "message"),
    [
        (C, spoilt(np.nan), "NaN or infinite values in 1 of 60 rows .first row 7"),
        (C, spoilt(np.inf), "NaN or infinite"),
        (C, np.ones((60, 4)), "every column is constant"),
        (np.zeros(60, int), X, "one class only"),
        (np.where(np.arange(60) == 5, 9, C), X, "class .*9.* has 1 row"),
        (C[:50], X, "labels has 50 values for 60 rows"),
        (C[:10], X[:10], "at least 20"),
        (C, X[None], "shape .1, 60, 6."),
        (C, [], "has 0 rows"),
        (C, X[:, :0], "no columns"),
        (C.astype(float) + 0.5, X, "whole numbers"),
        ([None] * 60, X, "missing in 60 rows"),
        (C[:, None], X, "one value per row"),
        (C, [[1.0], [1.0, 2.0]] * 30, "unequal lengths"),
        (C, np.array([["a"]] * 60), "give numbers"),
        (C, X + 1j, "dtype complex"),
    ],
)
def test_label_information_says_what_to_do(labels, features, message):
    with pytest.raises(ValueError, match=message):
        label_information(labels, features)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": 1}, "base=1"),
        ({"base": "e"}, "base='e'"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"n_permutations": -2}, "n_permutations=-2"),
        ({"groups": np.zeros(60)}, "one group only"),
        ({"groups": C}, "occurs in one group only"),
        ({"groups": C[:4]}, "groups has 4 values"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        label_information(C, X, **options)


def test_mistyped_option_is_refused():
    with pytest.raises(TypeError, match="n_permutation"):
        label_information(C, X, n_permutation=3)


def test_vectors_are_checked():
    with pytest.raises(ValueError, match="x 60, y 59"):
        vector_information(X, Y[:59])
    with pytest.raises(ValueError, match="y holds NaN"):
        vector_information(Y, spoilt(np.nan))
    with pytest.raises(ValueError, match="x: every column is constant"):
        vector_information(np.ones((60, 2)), Y)
    with pytest.raises(ValueError, match="unequal numbers of rows"):
        joint_information(C, X[:40], Y)
    with pytest.raises(ValueError, match=r"synthetic has 3 columns, real has 6"):
        carried_information(Y, C, X, C)


@pytest.mark.parametrize(
    "convert",
    [
        lambda a: a.tolist(),
        lambda a: torch.tensor(a, requires_grad=True),
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: np.concatenate([a, np.zeros((60, 2))], axis=1),
    ],
)
def test_equal_content_gives_the_equal_figure(convert):
    assert label_information(C, convert(X)).raw == label_information(C, X).raw


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int16])
def test_narrow_types_work(dtype):
    features = (X * 50).astype(dtype)
    assert np.isfinite(label_information(C, features).raw)
    assert np.isfinite(vector_information(features, Y.astype(np.float32)).raw)
    assert np.isfinite(label_information(C, torch.from_numpy(X).bfloat16()).raw)


def test_labels_of_every_kind_agree():
    first = label_information(C, X).raw
    for labels in (C.tolist(), np.array(["a", "b", "c"])[C], torch.from_numpy(C), C.astype(float), C * 100 - 7):
        assert label_information(labels, X).raw == first


def test_wild_scales_and_one_column():
    found = label_information(C, X * np.array([1e-12, 1e12, 1, 1e-30, 1e5, 1]))
    assert np.isfinite(found.raw) and abs(found.raw) < 0.5
    assert np.isfinite(label_information(C, X[:, 0]).raw)
    assert np.isfinite(vector_information(X[:, 0], Y[:, 0]).raw)
    assert np.isfinite(vector_information(np.round(X), np.round(Y)).raw)
    same = vector_information(X[:, :1], X[:, :1])
    assert np.isfinite(same.raw) and same.raw > 1.0


ROWS = np.random.default_rng(0).normal(size=(120, 3))
CLASSES = np.arange(120) % 3


@pytest.mark.parametrize(
    ("labels", "features", "message"),
    [
        (CLASSES, ROWS * 1e200, "beyond 1e\\+60"),
        ([float("nan"), *"ab" * 59, "a"], ROWS, "missing in 1 rows"),
        (pd.Series([pd.NA, *"ab" * 59, "a"], dtype="string"), ROWS, "missing in 1 rows"),
        (np.ma.masked_array(CLASSES, CLASSES == 1), ROWS, "masked values"),
        (CLASSES * 1e30, ROWS, "whole numbers, not measurements"),
        (CLASSES, torch.tensor(ROWS).to_sparse(), "dense tensor"),
        (CLASSES, torch.tensor(ROWS).to("meta"), "dense tensor"),
        (CLASSES, ROWS.astype(str).astype(object), "objects"),
    ],
)
def test_what_cannot_be_read_is_refused(labels, features, message):
    with pytest.raises(ValueError, match=message):
        label_information(labels, features)


def test_lists_of_tensors_and_frames_are_read():
    wanted = label_information(CLASSES, ROWS).raw
    assert label_information(CLASSES, list(torch.tensor(ROWS).requires_grad_())).raw == wanted
    assert label_information(CLASSES, pd.DataFrame(ROWS).convert_dtypes()).raw == wanted
    bits = label_information(CLASSES, ROWS, base=np.float32(2))
    assert bits.raw == pytest.approx(wanted / np.log(2))


def test_real_rows_of_one_class_are_refused():
    with pytest.raises(ValueError, match="real_labels holds one class only"):
        carried_information(ROWS, CLASSES, ROWS, np.zeros(120, int))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"training": ROWS}, "without training_labels"),
        ({"training": ROWS[:, :2], "training_labels": CLASSES}, "training has 2 columns"),
        ({"training": ROWS, "training_labels": CLASSES, "training_groups": [1]}, "training_groups has 1 values"),
    ],
)
def test_quality_names_what_was_given(given, message):
    with pytest.raises(ValueError, match=message):
        quality(ROWS, CLASSES, ROWS + 1, CLASSES, **given)


@pytest.mark.parametrize("rows", [[[1.0, 2.0], [3.0]] * 30, [torch.zeros(2), torch.zeros(3)] * 30])
def test_rows_of_unequal_lengths_are_named(rows):
    with pytest.raises(ValueError, match="y holds rows of unequal lengths"):
        vector_information(X, rows)
