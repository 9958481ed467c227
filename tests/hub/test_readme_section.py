"""README's section "Publish and pull", as printed: its commands, then its Python where mise_hf is not installed."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import soundfile
from isolated import CLIPS, python

from mise_hf.cli import main
from mise_hf.prediction import load_predictor, predict_files

README = Path(__file__).parents[2] / "README.md"
ENCODER = "openai/whisper-base"


def blocks(section: str, language: str) -> list[str]:
    """The blocks of code of one language in a section of README."""
    text = README.read_text(encoding="utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("models", ["run_folder", pytest.param("demo_run", marks=pytest.mark.slow)])
def test_publish_and_pull_as_printed(request, models, client, shared_dir, bare_python, tmp_path, monkeypatch):
    found = request.getfixturevalue(models)
    run = found.folder if models == "demo_run" else found
    encoder = shared_dir / "encoders" / "whisper-base-encoder"
    client.add_model(ENCODER, encoder)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(run)
    soundfile.write(tmp_path / "speech.wav", *soundfile.read(CLIPS / "13a01Wb.flac"), subtype="PCM_16")
    monkeypatch.chdir(tmp_path)
    (printed,), (code,) = blocks("Publish and pull", "bash"), blocks("Publish and pull", "python")
    login, *commands = [shlex.split(line, comments=True) for line in printed.splitlines()]
    # The fixture's HF_TOKEN stands for this one, as the comment behind it says.
    assert login == ["hf", "auth", "login"]
    for program, *arguments in commands:
        assert program == "mise-hf" and main(arguments) == 0, arguments
    assert set(client.repos) == {
        f"models/{ENCODER}", "models/org/mise-aligner", "models/org/mise-generator", "models/org/mise-ser",
        "models/org/my-generator", "datasets/org/emodb-features", "spaces/org/mise_quality",
    }  # fmt: skip
    assert client.repos["models/org/my-generator"].private
    done = python(code, client.url, tmp_path, interpreter=bare_python)
    assert done.returncode == 0, done.stderr[-3000:]
    shape, heard = done.stdout.splitlines()
    assert shape.startswith("torch.Size([3, ")
    expected = predict_files(*load_predictor(run / "ser", str(encoder)), [tmp_path / "speech.wav"])[0]
    told = {entry["label"]: entry["score"] for entry in ast.literal_eval(heard)}
    assert len(told) >= 5 and told == pytest.approx({label: expected[label] for label in told}, abs=1e-4)
