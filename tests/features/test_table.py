import numpy as np
import pytest

from mise_hf.features import FeatureTable


def table(**changed):
    rng = np.random.default_rng(0)
    fields = {
        "audio_states": rng.standard_normal((6, 2, 8)).astype(np.float16),
        "text_states": rng.standard_normal((6, 1, 4)).astype(np.float32),
        "labels": np.array([0, 1, 2, 0, 1, 2]),
        "label_names": ("anger", "neutral", "sadness"),
        "speakers": np.array(list("aabbcc")),
        "ids": np.array([f"u{place}" for place in range(6)]),
        "texts": np.array(["x"] * 6),
        "sessions": np.array([""] * 6),
        "corpus": "c",
        "audio_layers": (2, 3),
        "text_layers": (6,),
    }
    return FeatureTable(**{**fields, **changed})


def test_select_takes_rows_in_order_by_numbers_or_booleans():
    whole = table()
    some = whole.select([4, 1])
    assert len(some) == 2 and some.ids.tolist() == ["u4", "u1"] and some.labels.tolist() == [1, 1]
    assert np.array_equal(some.audio_states, whole.audio_states[[4, 1]])
    assert some.label_names == whole.label_names and some.audio_layers == (2, 3)
    assert whole.select(whole.speakers == "b").ids.tolist() == ["u2", "u3"]
    assert len(whole.select([])) == 0
    with pytest.raises(ValueError, match=r"shape \(2,\); wanted \(6,\)"):
        whole.select(np.array([True, False]))


def test_layer_is_found_by_its_number_in_the_encoder():
    whole = table()
    assert whole.layer(3).dtype == np.float32
    assert np.array_equal(whole.layer(3), whole.audio_states[:, 1].astype(np.float32))
    with pytest.raises(ValueError, match=r"layer 1 is not .*\[2, 3\]"):
        whole.layer(1)
    with pytest.raises(ValueError, match="layer 3 is not"):
        table(audio_states=None, audio_layers=()).layer(3)


def with_nan():
    states = np.zeros((6, 2, 8), np.float32)
    states[3, 1, 2] = np.nan
    return states


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"audio_states": with_nan()}, r"NaN or infinity in 1 rows \(the first is row 3\)"),
        ({"audio_states": np.zeros((5, 2, 8), np.float32)}, r"\(5, 2, 8\); wanted .*\(6, 2"),
        ({"audio_states": np.zeros((6, 3, 8), np.float32)}, r"\(6, 3, 8\); wanted .*\(6, 2"),
        ({"audio_states": np.zeros((6, 2, 7), np.float32)}, "even"),
        ({"audio_states": np.zeros((6, 2, 8), np.int16)}, "int16"),
        ({"audio_states": None, "text_states": None}, "both None"),
        ({"labels": np.array([0, 1, 2, 0, 1, 3])}, r"0 to 3; wanted 0 to 2 \(anger, neutral, sadness\)"),
        ({"labels": np.array([0, 1, 2, 0, 1, -1])}, "-1 to 2"),
        ({"labels": np.zeros(6)}, "float64; wanted whole"),
        ({"labels": np.zeros(5, int)}, r"labels has shape \(5,\); wanted an array \(6,\)"),
        ({"speakers": np.array(["a"] * 5)}, r"speakers has shape \(5,\)"),
        ({"texts": ["x"] * 6}, "texts has shape"),
    ],
)
def test_what_does_not_fit_is_refused_at_construction(changed, said):
    with pytest.raises(ValueError, match=said):
        table(**changed)


def test_a_folder_without_features_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no finished features.*again if it was stopped"):
        FeatureTable.from_folder(tmp_path)
