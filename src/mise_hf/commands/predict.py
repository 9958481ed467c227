"""`mise-hf predict`."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf predict`."""
    parser.add_argument("checkpoint", metavar="SER", help="SER head: Hub id or folder, e.g. runs/demo/ser")
    parser.add_argument("files", metavar="FILE", nargs="+", help="recordings: wav, flac, ogg, mp3, at any rate")
    parser.add_argument("--audio-encoder", metavar="ID_OR_PATH", help="the encoder that made the head's features")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print the probabilities of each file, the likeliest emotion first."""
    absent = [file for file in args.files if not Path(file).is_file()]
    # Some of them missing, the rest is looked at too, so that every bad file is named at once.
    if absent == args.files:
        raise ValueError(f"{', '.join(absent)}: is no file; wanted recordings")
    from mise_hf.prediction import load_predictor, predict_files

    model, encoder = load_predictor(args.checkpoint, args.audio_encoder)
    for file, probabilities in zip(args.files, predict_files(model, encoder, args.files), strict=True):
        if args.json:
            print(json.dumps({"file": file, "probabilities": probabilities}))
            continue
        ranked = sorted(probabilities.items(), key=lambda entry: -entry[1])
        print(f"{file}: " + ", ".join(f"{emotion} {p:.3f}" for emotion, p in ranked))
    return 0
