"""One self-contained HTML file from a run's `results.json`: no network, light and dark."""

import html
import json
import os
from pathlib import Path
from typing import Any

from jinja2 import Environment

from mise_hf.report import figures

TEMPLATE = Path(__file__).with_name("template.html")


def write_report(run: str | os.PathLike[str]) -> Path:
    """Write `report.html` into a run folder; returns its path.

    Raises:
        ValueError: where the folder holds no results.
    """
    folder = Path(run)
    if not (folder / "results.json").is_file():
        raise ValueError(f"{folder} holds no results.json; wanted the folder of a finished run")
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    full = next(cell for cell in results["cells"] if cell["share"] == 1.0)
    scenes = []
    for key, title in (("in_corpus", "In one corpus"), ("sharing", "Share the generator, not the speech")):
        for share, scene in results[key].items():
            shown = scene | {"figure": figures.recalls(scene)}
            scenes.append((f"{title}: {float(share):.0%} of the training clips", shown))
    environment = Environment(autoescape=False)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        results={"verdicts": [html.escape(verdict) for verdict in results["verdicts"]]},
        scenes=scenes,
        quality=results["quality"],
        information=figures.information(full["measures"]),
        projection=figures.projection(results["projection"], results["label_names"]),
        curves=figures.curves(full["curves"]),
        made=html.escape(_made(results)),
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def _made(results: dict[str, Any]) -> str:
    kept = ("command", "machine", "versions", "corpora", "unheard_speakers", "fingerprint", "seconds")
    return json.dumps({key: results[key] for key in kept}, indent=2)
