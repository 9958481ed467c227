"""`mise-hf extract`: a prepared corpus to a feature folder.

Many processes share the work, on one machine or many: `accelerate launch --num_processes 2 -m mise_hf.cli extract ...`
or `torchrun --nproc-per-node 2 -m mise_hf.cli extract ...`, or `--part 1/8` to `--part 8/8` in a job array, whose jobs
know nothing of each other.
"""

import argparse
import json
import re
import sys

EXIT_REJECTED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf extract`."""
    parser.add_argument("source", metavar="DIR", help="a prepared corpus (from `mise-hf prepare`)")
    parser.add_argument("--out", required=True, metavar="FEATURES", help="feature folder; a half-done one is continued")
    parser.add_argument("--audio-encoder", metavar="ID", help="audio encoder: id on the Hub or folder")
    parser.add_argument("--text-encoder", metavar="ID", help="text encoder: id on the Hub or folder")
    parser.add_argument("--layers", metavar="1-4", help="audio encoder layers, e.g. 3 or 1-4 or 1,3,6 (default: last)")
    parser.add_argument("--text-layers", metavar="6", help="text encoder layers (default: last)")
    parser.add_argument("--audio-revision", help="revision of the audio encoder on the Hub")
    parser.add_argument("--text-revision", help="revision of the text encoder on the Hub")
    parser.add_argument("--batch-seconds", type=float, help="audio in a batch [s] (default: 30 on a CPU, else 240)")
    parser.add_argument("--window-seconds", type=float, help="cut longer audio into windows [s] (default: 30)")
    parser.add_argument("--shard-rows", type=int, default=256, help="utterances in a shard (default: 256)")
    parser.add_argument("--decoders", type=int, default=1, help="threads that decode ahead (default: 1)")
    parser.add_argument("--part", metavar="K/N", help="do the K-th of N parts (default: what the launcher says)")
    parser.add_argument("--device", help="e.g. cpu or cuda:0 (default: what accelerate finds)")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad file")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def parse_layers(text: str | None) -> list[int] | None:
    """Layer numbers of "3", "1-4" or "1,3-4"; None stays None.

    Raises:
        ValueError: for anything else.
    """
    if text is None:
        return None
    layers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            raise ValueError(f"layers are {text!r}; wanted numbers and ranges such as 3, 1-4 or 1,3,6")
        layers += range(int(match[1]), int(match[2] or match[1]) + 1)
    return layers


def parse_part(text: str) -> tuple[int, int]:
    """Rank and number of processes of "K/N", K counting from 1.

    Raises:
        ValueError: for anything else.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"--part is {text!r}; wanted K/N with K from 1 to N, e.g. 1/8")
    return int(match[1]) - 1, int(match[2])


def run(args: argparse.Namespace) -> int:
    """Extract; 0 when every row has features, 3 when some were rejected (a launcher makes 1 of it).

    Raises:
        ValueError: for bad input, see `mise_hf.features.extraction.extract`.
    """
    audio_layers, text_layers = parse_layers(args.layers), parse_layers(args.text_layers)
    part = parse_part(args.part) if args.part else None
    if args.decoders < 1:
        raise ValueError(f"--decoders is {args.decoders}; wanted at least 1")
    from mise_hf.corpora.prepared import read_prepared

    read_prepared(args.source)
    from mise_hf.features.encoders import load_audio_encoder, load_text_encoder
    from mise_hf.features.extraction import REJECTED, extract
    from mise_hf.features.launch import join_launch

    launch = join_launch()
    rank, processes = part or (launch.rank, launch.processes)
    device = args.device or launch.device
    audio = text = None
    if args.audio_encoder:
        audio = load_audio_encoder(args.audio_encoder, audio_layers, device, args.audio_revision)
    if args.text_encoder:
        text = load_text_encoder(args.text_encoder, text_layers, device, args.text_revision)
    on_cpu = str(device).startswith("cpu")
    result = extract(
        args.source,
        args.out,
        audio,
        text,
        batch_seconds=(30.0 if on_cpu else 240.0) if args.batch_seconds is None else args.batch_seconds,
        window_seconds=args.window_seconds,
        shard_rows=args.shard_rows,
        decoders=args.decoders,
        strict=args.strict,
        rank=rank,
        processes=processes,
        wait=None if part else launch.wait,
        progress=not args.quiet and launch.shows,
    )
    rate = 1 / max(result.wall_seconds, 1e-9)
    counts = {"rows": result.rows, "rejected": len(result.rejected), "audio_seconds": result.audio_seconds}
    told = (
        json.dumps({**counts, "wall_seconds": result.wall_seconds, "folder": str(result.folder)})
        if args.json
        else f"{result.rows} rows, {result.audio_seconds:.1f} s of audio in {result.wall_seconds:.1f} s: "
        f"{result.rows * rate:.1f} rows/s, {result.audio_seconds * rate:.1f} audio-seconds/s"
    )
    # In one piece with its line end: with PYTHONUNBUFFERED `print` writes two, and another process's may fall between.
    sys.stdout.write(f"{told}\n")
    sys.stdout.flush()
    if launch.wait is not None and not part:
        # A launcher ends the others as soon as one process ends with a status other than 0: all have told by now.
        launch.wait()
    # In a launch the first process speaks for all.
    if result.rejected and (part or rank == 0):
        where = result.folder / REJECTED if result.complete else "the shards"
        print(f"{len(result.rejected)} rows were rejected; the reasons are in {where}", file=sys.stderr)
        return EXIT_REJECTED
    return 0
