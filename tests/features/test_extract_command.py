import argparse

import pytest

from mise_hf.features.command import add_arguments, parse_layers, parse_part, run


@pytest.mark.parametrize(
    ("text", "layers"), [(None, None), ("3", [3]), ("1-4", [1, 2, 3, 4]), ("0,2-3, 6", [0, 2, 3, 6])]
)
def test_layers(text, layers):
    assert parse_layers(text) == layers


@pytest.mark.parametrize("text", ["", "a", "4-1", "1-", "-1", "1;2"])
def test_bad_layers(text):
    with pytest.raises(ValueError, match="wanted numbers and ranges"):
        parse_layers(text)


def test_parts_of_a_job_array():
    assert parse_part("1/1") == (0, 1) and parse_part("8/8") == (7, 8)
    for text in ("0/2", "3/2", "1", "a/b"):
        with pytest.raises(ValueError, match="wanted K/N"):
            parse_part(text)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "holds no prepared corpus"),
        (["--layers", "x"], "layers are 'x'"),
        (["--decoders", "0"], "--decoders is 0"),
        (["--part", "3/2"], "--part is '3/2'"),
    ],
)
def test_bad_input_is_refused_before_an_encoder_is_loaded(tmp_path, more, said):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([str(tmp_path), "--out", str(tmp_path / "f"), "--audio-encoder", "no/such", *more])
    with pytest.raises(ValueError, match=said):
        run(args)
