"""`mise-hf prepare`: a corpus as its owner hands it out to rows with labels, speakers and folds."""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf prepare`."""
    from mise_hf.corpora.registry import CORPORA

    parser.add_argument("corpus", choices=CORPORA, help="which corpus; manifest, folder and dataset are for any")
    parser.add_argument("root", type=Path, help="its folder as it was handed out; a manifest's file; a dataset's id")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument("--labels", help="set of labels of this corpus, e.g. 4 or all (default: its standard one)")
    parser.add_argument(
        "--label-map", action="append", metavar="RAW=NAME", help="a label and its name; others are dropped (repeatable)"
    )
    parser.add_argument("--text-only", action="store_true", help="leave the audio out")
    parser.add_argument("--shared-speakers", action="store_true", help="report speakers in two partitions, go on")
    parser.add_argument("--release", help="msp-podcast: its release, e.g. 1.11")
    parser.add_argument("--test", help="msp-podcast: only this test partition, e.g. Test1")
    parser.add_argument(
        "--column", action="append", metavar="FIELD=COLUMN", help="manifest, dataset: e.g. label=emotion (repeatable)"
    )
    parser.add_argument("--split", help="dataset: only this split")
    parser.add_argument("--speaker-pattern", metavar="REGEX", help="folder: finds the speaker in the file name")
    parser.add_argument("--name", help="manifest, folder, dataset: what to call the corpus")
    parser.add_argument("--json", action="store_true", help="print corpus.json, the story of the rows")
    parser.add_argument("--overwrite", action="store_true", help="replace a prepared corpus in DIR")


def run(args: argparse.Namespace) -> int:
    """Prepare, and tell what was kept, merged and dropped; 0 when done.

    Raises:
        ValueError: for bad input, see `mise_hf.corpora.read_corpus` and `write_prepared`.
    """
    from mise_hf.corpora.columns import parse_pairs
    from mise_hf.corpora.prepared import require_writable, write_prepared
    from mise_hf.corpora.registry import read_corpus
    from mise_hf.corpora.report import describe

    require_writable(args.out, args.overwrite)
    options = {
        name: getattr(args, name)
        for name in ("labels", "release", "test", "split", "speaker_pattern", "name")
        if getattr(args, name) is not None
    }
    if args.column:
        options["columns"] = parse_pairs(args.column, "--column")
    if args.corpus == "dataset":
        options["audio_folder"] = args.out / "audio"
    corpus = read_corpus(
        args.corpus,
        args.root,
        label_map=parse_pairs(args.label_map, "--label-map"),
        text_only=args.text_only,
        shared_speakers=args.shared_speakers,
        **options,
    )
    prepared = write_prepared(corpus, args.out, overwrite=args.overwrite)
    print(json.dumps(prepared.story, ensure_ascii=False) if args.json else describe(corpus))
    return 0
