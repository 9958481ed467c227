"""Generator and head outside of eager PyTorch: torch.compile, torch.export and ONNX agree to 1e-4, for any batch."""

import numpy as np
import pytest
import torch

from mise_hf import MiseForAudioClassification, MiseGenerator, MiseGeneratorConfig

BATCH = torch.export.Dim("batch", min=1, max=4096)
TOLERANCE = {"rtol": 0, "atol": 1e-4}


@pytest.fixture(scope="module")
def generator():
    """With text, missing in one row, and a residual network that does something."""
    torch.manual_seed(0)
    config = MiseGeneratorConfig(feature_size=8, noise_size=8, hidden_size=16, text_size=4, state_size=16)
    model = MiseGenerator(config).eval()
    torch.nn.init.normal_(model.output.weight)
    torch.nn.init.normal_(model.null_text)
    return model


@pytest.fixture(scope="module")
def head(run_folder):
    return MiseForAudioClassification.from_pretrained(run_folder / "ser").eval()


def inputs(rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(rows)
    text = torch.randn(rows, 4, generator=draw)
    text[0] = torch.nan
    return torch.randn(rows, 8, generator=draw), torch.arange(rows) % 2, text


def states(rows: int) -> torch.Tensor:
    return torch.randn(rows, 1024, generator=torch.Generator().manual_seed(rows))


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@torch.no_grad()
def test_compile(generator, head, backend):
    made = torch.compile(generator, backend=backend, fullgraph=True)(*inputs(5)).features
    torch.testing.assert_close(made, generator(*inputs(5)).features, **TOLERANCE)
    logits = torch.compile(head, backend=backend, fullgraph=True)(audio_states=states(5)).logits
    torch.testing.assert_close(logits, head(audio_states=states(5)).logits, **TOLERANCE)


@torch.no_grad()
def test_export(generator, head):
    exported = torch.export.export(generator, inputs(5), dynamic_shapes=({0: BATCH},) * 3).module()
    shapes = {"audio_states": {0: BATCH}}
    exported_head = torch.export.export(head, (), {"audio_states": states(5)}, dynamic_shapes=shapes).module()
    for rows in (1, 5, 7):
        torch.testing.assert_close(exported(*inputs(rows)).features, generator(*inputs(rows)).features, **TOLERANCE)
        logits = exported_head(audio_states=states(rows)).logits
        torch.testing.assert_close(logits, head(audio_states=states(rows)).logits, **TOLERANCE)


@torch.no_grad()
def test_onnx(generator, head, tmp_path):
    from onnxruntime import InferenceSession

    torch.onnx.export(
        generator, inputs(5), tmp_path / "generator.onnx", dynamo=True, dynamic_shapes=({0: BATCH},) * 3,
        input_names=["noise", "labels", "text_embeds"], output_names=["features"], verbose=False,
    )  # fmt: skip
    torch.onnx.export(
        head, (), tmp_path / "head.onnx", kwargs={"audio_states": states(5)}, dynamo=True,
        dynamic_shapes={"audio_states": {0: BATCH}}, output_names=["logits"], verbose=False,
    )  # fmt: skip
    generate, classify = InferenceSession(tmp_path / "generator.onnx"), InferenceSession(tmp_path / "head.onnx")
    for rows in (1, 5, 7):
        given = dict(zip(("noise", "labels", "text_embeds"), (part.numpy() for part in inputs(rows)), strict=True))
        expected = generator(*inputs(rows)).features.numpy()
        np.testing.assert_allclose(generate.run(["features"], given)[0], expected, **TOLERANCE)
        logits = classify.run(["logits"], {"audio_states": states(rows).numpy()})[0]
        np.testing.assert_allclose(logits, head(audio_states=states(rows)).logits.numpy(), **TOLERANCE)
