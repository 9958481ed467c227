"""The Space's page: two feature files in, the scores and the summary out. Run it with `python app.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import evaluate
import gradio
import numpy as np

HERE = Path(__file__).parent
NEEDED = ("features", "labels")


def read(path: str | None, side: str) -> dict[str, np.ndarray]:
    """Arrays of an .npz with `features` (rows, columns), `labels` (rows,) and, if wanted, `speakers` (rows,)."""
    if path is None:
        raise gradio.Error(f"{side}: no file; give an .npz with {' and '.join(NEEDED)}")
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    missing = [name for name in NEEDED if name not in arrays]
    if missing:
        raise gradio.Error(f"{side}: {Path(path).name} has no {' and no '.join(missing)}; it has {sorted(arrays)}")
    return arrays


def score(real_path: str | None, synthetic_path: str | None) -> tuple[str, list[list[Any]]]:
    """The summary in words and a table of all figures."""
    real, synthetic = read(real_path, "real"), read(synthetic_path, "synthetic")
    try:
        found = evaluate.load(str(HERE)).compute(
            predictions=synthetic["features"],
            references=real["features"],
            prediction_labels=synthetic["labels"],
            reference_labels=real["labels"],
            groups=real.get("speakers"),
        )
    except ValueError as problem:
        raise gradio.Error(str(problem)) from problem
    return found["summary"], [[name, round(value, 4)] for name, value in found.items() if name != "summary"]


def page() -> gradio.Blocks:
    """Two files, a button, a sentence and a table."""
    with gradio.Blocks(title="mise_quality") as blocks:
        gradio.Markdown("# mise_quality\nDo synthetic features carry emotion to real speech of unseen speakers?")
        with gradio.Row():
            real = gradio.File(label="real: .npz with features, labels, speakers (optional)", type="filepath")
            synthetic = gradio.File(label="synthetic: .npz with features, labels", type="filepath")
        words = gradio.Textbox(label="in words")
        table = gradio.Dataframe(headers=["figure", "value"], label="figures (information in nats)")
        gradio.Button("Score").click(score, [real, synthetic], [words, table])
    return blocks


if __name__ == "__main__":
    page().launch()
