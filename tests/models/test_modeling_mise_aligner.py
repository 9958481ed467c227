import pytest
import torch
from transformers import AutoModel, BertConfig, BertModel, Wav2Vec2Config, Wav2Vec2Model

from mise_hf import MiseAligner, MiseAlignerConfig


def tiny_audio() -> Wav2Vec2Model:
    torch.manual_seed(0)
    return Wav2Vec2Model(
        Wav2Vec2Config(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            conv_dim=(8, 8),
            conv_stride=(5, 4),
            conv_kernel=(10, 8),
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
        )
    )


def tiny_text() -> BertModel:
    return BertModel(
        BertConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, vocab_size=30)
    )


def tiny_aligner(**changes) -> MiseAligner:
    torch.manual_seed(0)
    settings = {"audio_state_size": 10, "text_state_size": 8, "audio_layers": [1, 2], "text_layers": [1]}
    return MiseAligner(
        MiseAlignerConfig(**(settings | {"projection_size": 6, "num_labels": 3, "dropout": 0} | changes))
    )


def states(rows: int = 12) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "audio_states": torch.randn(rows, 2, 10),
        "text_states": torch.randn(rows, 1, 8),
        "labels": torch.arange(rows) % 3,
    }


def test_raw_inputs_equal_states_pooled_before(tmp_path):
    aligner = MiseAligner.from_encoders(
        tiny_audio(), tiny_text(), labels=["a", "b"], audio_layers=[1, 2], projection_size=6
    ).eval()
    audio, mask = torch.randn(3, 4000), torch.ones(3, 4000, dtype=torch.int64)
    mask[1, 2500:] = 0
    tokens = torch.randint(30, (3, 7))
    raw = aligner(input_values=audio, attention_mask=mask, input_ids=tokens)
    pooled = aligner(audio_states=aligner.pool_audio(audio, mask), text_states=aligner.pool_text(tokens, None))
    assert torch.allclose(raw.audio_embeds, pooled.audio_embeds, atol=1e-5)
    assert torch.allclose(raw.text_embeds, pooled.text_embeds, atol=1e-5)
    aligner.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path).eval()
    assert torch.allclose(again(input_values=audio, attention_mask=mask).audio_embeds, raw.audio_embeds, atol=1e-5)


def test_encoders_are_frozen_unless_asked():
    frozen = MiseAligner.from_encoders(tiny_audio(), labels=["a", "b"], audio_layers=[2])
    assert not any(parameter.requires_grad for parameter in frozen.audio_encoder.parameters())
    assert not frozen.train().audio_encoder.training
    open_ = MiseAligner.from_encoders(tiny_audio(), labels=["a", "b"], audio_layers=[2], train_encoders=True)
    open_.train()(input_values=torch.randn(2, 4000), labels=torch.tensor([0, 1])).loss.backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in open_.audio_encoder.parameters())


def test_the_loss_is_the_weighted_sum_of_its_terms():
    aligner = tiny_aligner(emotion_weight=2.0, contrastive_weight=3.0, mi_weight=0.5)
    out = aligner(**states())
    assert torch.isclose(out.loss, 2 * out.emotion_loss + 3 * out.contrastive_loss - 0.5 * out.mi_bound)
    out.loss.backward()
    assert all(parameter.grad is not None for parameter in aligner.parameters())


def test_rows_with_the_same_text_are_no_negatives():
    """With one text for all there is no negative left, so no contrastive term."""
    batch = states()
    batch["text_states"] = batch["text_states"][:1].expand(12, 1, 8)
    out = tiny_aligner()(**batch)
    assert out.contrastive_loss is None and out.mi_bound is None and out.emotion_loss is not None
    assert tiny_aligner(mask_same_text=False)(**batch).contrastive_loss is not None


def test_same_label_pairs_are_masked_on_request():
    batch = states()
    assert tiny_aligner(mask_same_label=True)(**batch).contrastive_loss < tiny_aligner()(**batch).contrastive_loss


def test_audio_alone_works():
    out = tiny_aligner(text_state_size=0)(audio_states=states()["audio_states"], labels=states()["labels"])
    assert out.text_embeds is None and out.contrastive_loss is None and out.loss == out.emotion_loss


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"audio_states": torch.zeros(2, 3, 10)}, r"\(2, 3, 10\); wanted"),
        ({"audio_states": None}, "0 of input_values"),
        ({"audio_states": None, "input_values": torch.zeros(2, 100)}, "no audio encoder"),
        ({"labels": torch.tensor([0, 5])}, "labels run from 0 to 5; wanted 0 to 2"),
    ],
)
def test_bad_input_is_refused(change, message):
    batch = {name: value[:2] for name, value in states().items()} | change
    with pytest.raises(ValueError, match=message):
        tiny_aligner()(**batch)


def test_text_for_an_aligner_without_text_is_refused():
    with pytest.raises(ValueError, match="text_state_size is 0"):
        tiny_aligner(text_state_size=0)(**states())
