"""The cards in this folder, rendered from what was measured; nothing in them is typed by hand.

    python model_cards/render.py runs/demo --audio-encoder openai/whisper-base
    python model_cards/render.py

The first takes results and configurations from a run to `measured/`, by the very staging of `mise-hf publish`,
and renders; the second renders from what lies in `measured/` already, e.g. after a change of a template.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from huggingface_hub import ModelCard

from mise_hf.cli import main as mise_hf
from mise_hf.features import load_embedded
from mise_hf.hub.cards import dataset_card, model_card
from mise_hf.hub.checks import check_card
from mise_hf.hub.command import EMBEDDED_CORPUS, MODELS
from mise_hf.hub.results import read_results
from mise_hf.hub.staging import PREPROCESSOR

HERE = Path(__file__).parent
OWNER, NAME = "org", "mise"


def take(run: Path, audio_encoder: str | None, measured: Path) -> None:
    """Keep in `measured` what the cards of a run's models are made of.

    Raises:
        ValueError: where the run cannot be published.
    """
    with tempfile.TemporaryDirectory() as scratch:
        words = ["publish", str(run), "--repo", f"{OWNER}/{NAME}", "--redistribution", "yes", "--dry-run"]
        words += ["--audio-encoder", audio_encoder] if audio_encoder else []
        if mise_hf([*words, "--out", scratch]):
            raise ValueError(f"{str(run)!r} cannot be published, see above; wanted the folder of a finished run")
        for kind in MODELS:
            staged = Path(scratch) / kind
            (measured / kind).mkdir(parents=True, exist_ok=True)
            for name in ("results.json", "config.json"):
                (measured / kind / name).write_bytes((staged / name).read_bytes())
            data = ModelCard.load(staged / "README.md").data
            about = {
                "licence": data.license,
                "base_model": data.base_model,
                "takes_audio": (staged / PREPROCESSOR).is_file(),
            }
            write(measured / kind / "card.json", json.dumps(about, indent=2) + "\n")


def render(measured: Path) -> dict[str, str]:
    """Name of each card to its text."""
    cards = {}
    for kind in MODELS:
        config, about = (json.loads((measured / kind / f"{name}.json").read_text()) for name in ("config", "card"))
        cards[f"{NAME}-{kind}"] = model_card(
            kind,
            f"{OWNER}/{NAME}-{kind}",
            config,
            read_results(measured / kind / "results.json"),
            redistribution="yes",
            **about,
        )
    table = load_embedded("emodb")
    counts = {"utterances": len(table), "speakers": len(set(table.speakers.tolist()))}
    cards["emodb-features"] = dataset_card(
        f"{OWNER}/emodb-features",
        len(table),
        table.label_names,
        [{**counts, **EMBEDDED_CORPUS}],
        table.fingerprint,
        transcripts=any(table.texts.tolist()),
        redistribution="yes",
        licence="cc0-1.0",
    )
    return cards


def write(path: Path, text: str) -> None:
    """Write a text file with Unix line ends."""
    path.write_text(text, encoding="utf-8", newline="\n")


def main(argv: list[str] | None = None) -> int:
    """Take, render and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="a finished run, e.g. of `mise-hf demo`")
    parser.add_argument("--audio-encoder", metavar="ID", help="as it is on the Hub")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where to (default: this folder)")
    args = parser.parse_args(argv)
    try:
        if args.run is not None:
            take(args.run, args.audio_encoder, args.out / "measured")
        for name, text in render(args.out / "measured").items():
            check_card(text)
            write(args.out / f"{name}.md", text)
            print(args.out / f"{name}.md")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
