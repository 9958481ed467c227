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
        "--real", required=True, metavar="FEATURES", help="real speech of unseen speakers: feature folder, or 'emodb'"
    )
    parser.add_argument(
        "--synthetic", required=True, metavar="FEATURES_OR_GENERATOR", help="feature folder, 'emodb', or generator"
    )
    parser.add_argument(
        "--aligner", metavar="ALIGNER", help="folder of the aligner, for a generator of the aligned space"
    )
    parser.add_argument(
        "--speakers", metavar="A,B,...", help="real rows of these speakers only, e.g. those the generator has not heard"
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
    from mise_hf.features.embedded import EMBEDDED

    for flag in ("real", "synthetic"):
        given = getattr(args, flag)
        if given not in EMBEDDED and not Path(given).is_dir():
            raise ValueError(f"--{flag} is {given!r}, which is no folder; wanted features, 'emodb' or a generator")
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
    from mise_hf.features import open_table, require_same

    table = open_table(args.real)
    if args.speakers is not None:
        table = of_speakers(table, [name.strip() for name in args.speakers.split(",")])
    labels = np.array(table.label_names)[table.labels]
    speakers = table.speakers if len(set(table.speakers)) > 1 else None
    if (Path(args.synthetic) / "config.json").is_file():
        real, fake, fake_labels = from_generator(table, labels, args)
        return real, labels, speakers, fake, fake_labels
    if args.aligner is not None:
        raise ValueError(f"--aligner goes with a generator, and {args.synthetic!r} holds features; leave it out")
    other = open_table(args.synthetic)
    parts = ("audio_encoder", "pooling", "sampling_rate")
    require_same(table.fingerprint, other.fingerprint, parts, our_name="--real", their_name="--synthetic")
    layer = args.layer
    if layer is None:
        if len(table.audio_layers) != 1:
            raise ValueError(f"{args.real!r} holds layers {list(table.audio_layers)}; choose one with --layer")
        layer = table.audio_layers[0]
    return table.layer(layer), labels, speakers, other.layer(layer), np.array(other.label_names)[other.labels]


def of_speakers(table: Any, wanted: list[str]) -> Any:
    """The rows of `table` whose speaker is among `wanted`.

    Raises:
        ValueError: for a speaker that the table does not have.
    """
    known = sorted(set(map(str, table.speakers)))
    strangers = sorted(set(wanted) - set(known))
    if strangers:
        raise ValueError(f"--speakers names {strangers}, whom --real does not have; it has {known}")
    return table.select(np.isin(table.speakers.astype(str), wanted))


def from_generator(
    table: Any, labels: np.ndarray, args: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real features in the generator's space, and as many generated ones with the same labels.

    Raises:
        ValueError: for a generator that has heard the real speakers, an aligner missing or too many, or features made
            by another encoder.
    """
    import torch

    from mise_hf.features import require_same
    from mise_hf.models.modeling_mise_aligner import MiseAligner
    from mise_hf.models.modeling_mise_generator import MiseGenerator

    generator = MiseGenerator.from_pretrained(args.synthetic)
    parts = {"the generator": generator}
    if generator.space is None:
        if args.aligner is None:
            raise ValueError(
                f"{args.synthetic!r} generates in its aligner's space, which a feature folder does not hold; give the "
                "aligner with --aligner"
            )
        parts["the aligner"] = MiseAligner.from_pretrained(args.aligner).eval()
    elif args.aligner is not None:
        raise ValueError(f"{args.synthetic!r} generates in its encoder's space and needs no --aligner; leave it out")
    for name, model in parts.items():
        require_unheard(model.config.training_corpora, table, name, vouched=args.speakers is not None)
        if model.config.feature_fingerprint:
            require_same(
                model.config.feature_fingerprint, table.fingerprint, ("audio_encoder", "pooling"),
                our_name=name, their_name="--real",
            )  # fmt: skip
    with torch.no_grad():
        if generator.space is None:
            real = aligned(parts["the aligner"], table)
        else:
            layer = args.layer if args.layer is not None else generator.config.state_layers
            if layer is None:
                raise ValueError(f"{args.synthetic!r} does not say which encoder layer it was trained on; give --layer")
            real = generator.space.project(torch.from_numpy(table.layer(layer)))
    made = generator.generate(list(labels), generator=torch.Generator().manual_seed(args.seed)).features
    if made.shape[1] != real.shape[1]:
        raise ValueError(
            f"the generator makes {made.shape[1]} columns and the aligner {real.shape[1]}; wanted the aligner it was "
            "trained in"
        )
    return real.numpy(), np.asarray(made), labels


def aligned(aligner: Any, table: Any) -> Any:
    """The aligner's audio embeddings (rows, size) of the table's states.

    Raises:
        ValueError: where the table lacks a layer that the aligner takes.
    """
    import torch

    states = np.stack([table.layer(number) for number in aligner.config.audio_layers], axis=1)
    return aligner.embed(torch.from_numpy(states)).audio_embeds


def require_unheard(corpora: list[dict] | None, table: Any, name: str, *, vouched: bool) -> None:
    """Refuse a checkpoint that has heard the real speakers: what it carries to them is no evidence for others.

    Args:
        corpora: what the checkpoint says it was trained on, or None.
        table: the real rows.
        name: what to call the checkpoint.
        vouched: the real speakers were named by hand, so a checkpoint that says nothing is taken at its user's word.

    Raises:
        ValueError: naming the speakers, and those that are left.
    """
    from mise_hf.features.provenance import heard_speakers

    present = set(map(str, table.speakers))
    if corpora is None:
        if vouched:
            return
        raise ValueError(
            f"{name} does not state its training corpora; name speakers that it has not heard with --speakers, of "
            f"{sorted(present)}"
        )
    for corpus in corpora:
        speakers = corpus.get("speakers")
        if corpus.get("name") != table.corpus:
            continue
        if not isinstance(speakers, list):
            if vouched:
                continue
            raise ValueError(
                f"{name} was trained on {table.corpus} and names no speakers; name unheard ones with --speakers"
            )
        heard = heard_speakers([corpus], table.corpus, present)
        if heard:
            left = sorted(present - set(heard))
            way = f"keep to {','.join(left)} with --speakers" if left else "give features of other speakers"
            raise ValueError(f"{name} has heard the speakers {heard} of {table.corpus}; {way}")


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
