import numpy as np
import pytest
import torch
from tiny_encoders import WAVEFORM_ENCODERS, waveform_encoder, whisper
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, RobertaConfig, RobertaModel

from mise_hf.models.feature_extraction_mise import MiseFeatureExtractor
from mise_hf.models.pooling_mise import (
    count_frames,
    encoder_hidden_size,
    masked_statistics,
    pooled_audio_states,
    pooled_text_states,
    take_encoder,
)

LENGTHS = (16000, 9000, 4321, 15999)


def waveforms(lengths=LENGTHS):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(length).astype(np.float32) for length in lengths]


def statistics(states):
    """Mean and population standard deviation by numpy, in float64: the second implementation."""
    states = states.detach().numpy().astype(np.float64)
    return np.concatenate([states.mean(axis=-2), states.std(axis=-2)], axis=-1)


def test_masked_statistics_equal_numpy_on_the_valid_frames():
    states = torch.randn(3, 4, 10, 5, generator=torch.Generator().manual_seed(0))
    lengths = (10, 7, 1)
    mask = torch.tensor([[frame < length for frame in range(10)] for length in lengths])
    pooled = masked_statistics(states, mask)
    assert pooled.shape == (3, 4, 10) and pooled.dtype == torch.float32
    for row, length in enumerate(lengths):
        wanted = statistics(states[row, :, :length])
        np.testing.assert_allclose(pooled[row, :, :5], wanted[:, :5], atol=1e-6)
        # One frame has no spread; the floor keeps the gradient finite there.
        np.testing.assert_allclose(pooled[row, :, 5:], np.maximum(wanted[:, 5:], 1e-5), atol=1e-6)
    np.testing.assert_allclose(masked_statistics(states[:, 0], mask), pooled[:, 0], atol=1e-6)
    np.testing.assert_allclose(masked_statistics(states[:1], None), pooled[:1], atol=1e-6)


def test_masked_statistics_ignore_what_is_masked_and_keep_gradients_finite():
    states = torch.randn(1, 6, 3, requires_grad=True)
    mask = torch.tensor([[1, 0, 0, 0, 0, 0]])
    pooled = masked_statistics(states, mask)
    pooled.sum().backward()
    assert torch.isfinite(states.grad).all()
    assert (states.grad[0, 1:] == 0).all() and (states.grad[0, 0] != 0).any()


@pytest.mark.parametrize(
    ("states", "mask", "said"),
    [
        (torch.zeros(2, 3), None, "shape"),
        (torch.zeros(2, 3, 4), torch.ones(2, 4), r"\(2, 4\).*\(2, 3\)"),
        (torch.zeros(2, 3, 4), torch.tensor([[1, 1, 1], [0, 0, 0]]), r"rows \[1\]"),
    ],
)
def test_masked_statistics_refuse_other_shapes_and_empty_rows(states, mask, said):
    with pytest.raises(ValueError, match=said):
        masked_statistics(states, mask)


@pytest.mark.parametrize("name", WAVEFORM_ENCODERS)
def test_waveform_encoders_give_the_hidden_states_tuple_and_a_batch_equals_single_clips(name):
    encoder = waveform_encoder(name)
    extractor = MiseFeatureExtractor(kind="waveform")
    clips = waveforms()
    layers = (0, 1, 2, 3)
    with torch.no_grad():
        batch = extractor(clips, sampling_rate=16000)
        pooled = pooled_audio_states(encoder, batch["input_values"], batch["attention_mask"], layers)
        for row, clip in enumerate(clips):
            alone = extractor(clip, sampling_rate=16000)
            states = encoder(alone["input_values"], output_hidden_states=True).hidden_states
            wanted = np.stack([statistics(state[0]) for state in states])
            np.testing.assert_allclose(pooled[row], wanted, atol=2e-5)
            single = pooled_audio_states(encoder, alone["input_values"], alone["attention_mask"], layers)
            np.testing.assert_allclose(pooled[row], single[0], atol=1e-5)
            assert count_frames(encoder, torch.tensor([len(clip)])).item() == states[0].shape[1]


def test_padding_would_change_the_result_if_it_were_not_kept_out():
    """The test above can fail: with the model's own masking alone, padding reaches the group-normalised front end."""
    encoder = waveform_encoder("hubert")
    extractor = MiseFeatureExtractor(kind="waveform")
    clips = waveforms((16000, 4321))
    with torch.no_grad():
        batch = extractor(clips, sampling_rate=16000)
        states = encoder(
            batch["input_values"], attention_mask=batch["attention_mask"], output_hidden_states=True
        ).hidden_states[3]
        alone = pooled_audio_states(encoder, extractor(clips[1], sampling_rate=16000)["input_values"], None, [3])
        frames = count_frames(encoder, torch.tensor([4321])).item()
    assert np.abs(statistics(states[1, :frames]) - alone[0, 0].numpy()).max() > 1e-3


def test_whisper_equals_its_own_forward_on_thirty_seconds():
    encoder = take_encoder(whisper())
    mel = torch.randn(2, 80, 3000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        states = encoder(mel, output_hidden_states=True).hidden_states
        pooled = pooled_audio_states(encoder, mel, None, range(4))
    np.testing.assert_allclose(pooled, np.stack([statistics(state) for state in states], axis=1), atol=2e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_whisper_on_a_padded_batch_equals_single_clips(attention):
    encoder = take_encoder(whisper())
    encoder.set_attn_implementation(attention)
    extractor = MiseFeatureExtractor(kind="log_mel")
    clips = waveforms((16000, 9000, 4321, 15840, 400))
    with torch.no_grad():
        batch = extractor(clips, sampling_rate=16000)
        pooled = pooled_audio_states(encoder, batch["input_features"], batch["attention_mask"], (3, 0))
        alone = [extractor(clip, sampling_rate=16000) for clip in clips]
        single = [pooled_audio_states(encoder, one["input_features"], one["attention_mask"], (3, 0)) for one in alone]
    np.testing.assert_allclose(pooled, torch.cat(single), atol=1e-5)


@pytest.mark.parametrize("name", ["whisper", "wav2vec2", "data2vec-audio"])
def test_gradients_reach_every_weight_below_the_layer(name):
    encoder = take_encoder(whisper()) if name == "whisper" else waveform_encoder(name)
    extractor = MiseFeatureExtractor(kind="log_mel" if name == "whisper" else "waveform")
    batch = extractor(waveforms((8000, 5000)), sampling_rate=16000)
    pooled_audio_states(encoder, batch[extractor.input_name], batch["attention_mask"], [3]).square().sum().backward()
    unused = {"masked_spec_embed"}
    for weight_name, weight in encoder.named_parameters():
        if weight.requires_grad and weight_name not in unused:
            assert weight.grad is not None and torch.isfinite(weight.grad).all(), weight_name
            # A bias added to all keys alike cannot change a softmax.
            if "k_proj.bias" not in weight_name:
                assert (weight.grad != 0).any(), weight_name


def test_audio_refuses_layers_and_masks_that_do_not_fit():
    encoder = take_encoder(whisper())
    mel = torch.zeros(1, 80, 100)
    for layers in ([], [4], [1, 1], [-1]):
        with pytest.raises(ValueError, match=r"0 .* to 3"):
            pooled_audio_states(encoder, mel, None, layers)
    with pytest.raises(ValueError, match=r"\(1, 50\).*\(1, 100\)"):
        pooled_audio_states(encoder, mel, torch.ones(1, 50), [1])
    with pytest.raises(ValueError, match="3200 frames; wanted at most 3000"):
        pooled_audio_states(encoder, torch.zeros(1, 80, 3200), None, [1])


@pytest.mark.parametrize(
    ("model_class", "config"),
    [
        (BertModel, BertConfig(vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2)),
        (RobertaModel, RobertaConfig(vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2)),
        (DistilBertModel, DistilBertConfig(vocab_size=20, dim=16, n_layers=2, n_heads=2, hidden_dim=32)),
    ],
)
def test_text_states_equal_the_tuple_and_ignore_padding(model_class, config):
    torch.manual_seed(0)
    encoder = model_class(config).eval()
    pad = config.pad_token_id
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, pad, pad]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    with torch.no_grad():
        pooled = pooled_text_states(encoder, ids, mask, (0, 2))
        states = encoder(ids[1:, :2], attention_mask=mask[1:, :2], output_hidden_states=True).hidden_states
    assert pooled.shape == (2, 2, 32) and encoder_hidden_size(config) == 16
    np.testing.assert_allclose(pooled[1], np.stack([statistics(states[0][0]), statistics(states[2][0])]), atol=1e-5)


def test_take_encoder_leaves_an_encoder_alone():
    encoder = waveform_encoder("wav2vec2")
    assert take_encoder(encoder) is encoder
    model = whisper()
    assert take_encoder(model) is model.encoder
    assert take_encoder(model.encoder) is model.encoder
