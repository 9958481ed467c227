"""`mise-hf quality`: synthetic features, or a generator, against real features.

The one file of this room that knows feature folders and checkpoints: it may import features and models.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

CLASS_COLUMNS = ("rows", "carried", "precision", "recall", "density", "coverage")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf quality`."""
    parser.add_argument(
        "--real", required=True, metavar="FEATURES", help="feature folder of real speech, unseen speakers"
    )
    parser.add_argument(
        "--synthetic", required=True, metavar="FEATURES_OR_GENERATOR", help="feature folder, or generator"
    )
    parser.add_argument("--layer", type=int, help="encoder layer (default: the generator's, or the only one)")
    parser.add_argument("--by-class", action="store_true", help="a line for each emotion as well")
    parser.add_argument("--permutations", type=int, default=0, metavar="N", help="refits behind each null (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="of every draw (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Score and print; returns 0.

    Raises:
        ValueError: for folders that hold neither features nor a generator, or features that do not belong together.
    """
    for flag in ("real", "synthetic"):
        if not Path(getattr(args, flag)).is_dir():
            raise ValueError(f"--{flag} is {getattr(args, flag)!r}, which is no folder; wanted features or a generator")
    from mise_hf.metrics.mise_quality.quality import quality

    real, labels, speakers, synthetic, synthetic_labels = load(args)
    found: dict[str, Any] = quality(
        synthetic, synthetic_labels, real, labels, groups=speakers, n_permutations=args.permutations, seed=args.seed
    )
    classes = by_class(synthetic, synthetic_labels, real, labels) if args.by_class else {}
    if args.json:
        print(json.dumps({**found, "by_class": classes} if classes else found, indent=2))
        return 0
    for name, value in found.items():
        if name != "summary":
            print(f"{name:28s} {value:10.4f}")
    if classes:
        print(f"\n{'emotion':16s}" + "".join(f"{column:>11s}" for column in CLASS_COLUMNS))
        for name, row in classes.items():
            print(f"{name:16s}" + "".join(f"{row[column]:11.3f}" for column in CLASS_COLUMNS))
    print(f"\n{found['summary']}")
    return 0


def load(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]:
    """Real features, labels and speakers, synthetic features and labels, all in one space.

    Raises:
        ValueError: see `run`.
    """
    from mise_hf.features import FeatureTable, require_same

    table = FeatureTable.from_folder(args.real)
    labels = np.array(table.label_names)[table.labels]
    speakers = table.speakers if len(set(table.speakers)) > 1 else None
    if (Path(args.synthetic) / "config.json").is_file():
        real, fake, fake_labels = from_generator(table, labels, args)
        return real, labels, speakers, fake, fake_labels
    other = FeatureTable.from_folder(args.synthetic)
    parts = ("audio_encoder", "pooling", "sampling_rate")
    require_same(table.fingerprint, other.fingerprint, parts, our_name="--real", their_name="--synthetic")
    layer = args.layer
    if layer is None:
        if len(table.audio_layers) != 1:
            raise ValueError(f"{args.real!r} holds layers {list(table.audio_layers)}; choose one with --layer")
        layer = table.audio_layers[0]
    return table.layer(layer), labels, speakers, other.layer(layer), np.array(other.label_names)[other.labels]


def from_generator(
    table: Any, labels: np.ndarray, args: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real features in the generator's space, and as many generated ones with the same labels.

    Raises:
        ValueError: for a generator in another space, or features made by another encoder.
    """
    import torch

    from mise_hf.features import require_same
    from mise_hf.models.modeling_mise_generator import MiseGenerator

    generator = MiseGenerator.from_pretrained(args.synthetic)
    if generator.space is None:
        raise ValueError(
            f"{args.synthetic!r} generates in its aligner's space, which a feature folder does not hold; wanted a "
            "generator of the encoder space, or a feature folder"
        )
    if generator.config.feature_fingerprint:
        require_same(
            generator.config.feature_fingerprint, table.fingerprint, ("audio_encoder", "pooling"),
            our_name="the generator", their_name="--real",
        )  # fmt: skip
    layer = args.layer if args.layer is not None else generator.config.state_layers
    if layer is None:
        raise ValueError(f"{args.synthetic!r} does not say which encoder layer it was trained on; give --layer")
    with torch.no_grad():
        real = generator.space.project(torch.from_numpy(table.layer(layer))).numpy()
    made = generator.generate(list(labels), generator=torch.Generator().manual_seed(args.seed)).features
    return real, np.asarray(made), labels


def by_class(
    synthetic: np.ndarray, synthetic_labels: np.ndarray, real: np.ndarray, labels: np.ndarray
) -> dict[str, dict[str, float]]:
    """For each emotion of the real rows: rows, carried nats of its rows, and overlap with its synthetic rows."""
    from mise_hf.metrics.mise_quality.carried import pointwise_carried_information
    from mise_hf.metrics.mise_quality.fidelity import neighbourhood

    scores = pointwise_carried_information(synthetic, synthetic_labels, real, labels)
    out = {}
    for name in sorted(set(labels.tolist())):
        rows, fake_rows = labels == name, synthetic_labels == name
        found = {"rows": float(rows.sum()), "carried": float(scores[rows].mean())}
        k = min(5, int(rows.sum()) - 2, int(fake_rows.sum()) - 2)
        near = neighbourhood(real[rows], synthetic[fake_rows], k=k) if k >= 1 else None
        for column in CLASS_COLUMNS[2:]:
            found[column] = getattr(near, column) if near else float("nan")
        out[name] = found
    return out
