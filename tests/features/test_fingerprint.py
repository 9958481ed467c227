import pytest
import torch
from transformers import AutoModel

from mise_hf.features.encoders import load_audio_encoder, load_text_encoder, weights_sha256
from mise_hf.features.extraction import make_fingerprint
from mise_hf.features.fingerprint import require_same

OURS = {
    "audio_encoder": {"id": "openai/whisper-base", "revision": "abc", "weights_sha256": "1" * 64},
    "text_encoder": None,
    "audio_layers": [1, 2],
    "text_layers": [],
    "pooling": "mean+std",
    "sampling_rate": 16000,
}


def test_equal_weights_are_the_same_encoder_under_any_name():
    require_same(OURS, {**OURS, "audio_encoder": {"id": "copy", "revision": None, "weights_sha256": "1" * 64}})


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        (
            "audio_encoder",
            {"id": "mine", "weights_sha256": "2" * 64},
            r"whisper-base.*111.* in A and 'mine' .*222.* in B",
        ),
        ("audio_encoder", None, "missing in B"),
        ("text_encoder", {"id": "bert", "weights_sha256": "3" * 64}, "missing in A and 'bert'"),
        ("audio_layers", [1, 2, 3], r"\[1, 2\] in A and \[1, 2, 3\] in B"),
        ("pooling", "mean", "mean.std in A and mean in B"),
        ("sampling_rate", 8000, "16000 in A and 8000 in B"),
    ],
)
def test_every_difference_is_named_with_both_sides(part, value, said):
    with pytest.raises(ValueError, match=said):
        require_same(OURS, {**OURS, part: value}, our_name="A", their_name="B")
    require_same(OURS, {**OURS, part: value}, parts=("pooling",) if part != "pooling" else ("sampling_rate",))


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match=r"unknown parts \['encoder'\]"):
        require_same(OURS, OURS, parts=("encoder",))


def test_the_weight_hash_knows_the_numbers_and_nothing_else(whisper_dir, tmp_path):
    model = AutoModel.from_pretrained(whisper_dir).get_encoder()
    wanted = weights_sha256(model)
    AutoModel.from_pretrained(whisper_dir).half().save_pretrained(tmp_path / "half")
    half = AutoModel.from_pretrained(tmp_path / "half", dtype=torch.float32).get_encoder()
    assert weights_sha256(half) == wanted
    with torch.no_grad():
        next(model.parameters())[0] += 0.01
    assert weights_sha256(model) != wanted


def test_a_fingerprint_names_folders_not_paths(whisper_dir, bert_dir):
    audio = load_audio_encoder(str(whisper_dir), [1, 3])
    fingerprint = make_fingerprint(audio, load_text_encoder(str(bert_dir), None))
    assert fingerprint["audio_encoder"]["id"] == "tiny-whisper" and fingerprint["text_encoder"]["id"] == "tiny-bert"
    assert fingerprint["audio_layers"] == [1, 3] and fingerprint["text_layers"] == [2]
    assert fingerprint["sampling_rate"] == 16000 and fingerprint["pooling"] == "mean+std"
    assert str(whisper_dir.parent) not in repr(fingerprint)


def test_encoders_that_do_not_load_are_refused(tmp_path, whisper_dir, bert_dir):
    with pytest.raises(ValueError, match="nowhere' is no folder"):
        load_audio_encoder(str(tmp_path / "nowhere"), [1])
    with pytest.raises(ValueError, match=r"layers are \[9\]; wanted .* 0 .* to 3"):
        load_audio_encoder(str(whisper_dir), [9])
    with pytest.raises(ValueError, match="takes input_features; wanted one that takes input_ids"):
        load_text_encoder(str(whisper_dir), [1])
    with pytest.raises(ValueError, match="takes input_ids; wanted one that takes input_values"):
        load_audio_encoder(str(bert_dir), [1])
