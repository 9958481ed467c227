"""`mise-hf publish`: a run, a model, features or the metric to the Hub, or a published revision verified."""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

MODELS = ("aligner", "generator", "ser")
METRIC = "mise_quality"
EMBEDDED = "emodb"
EMBEDDED_CORPUS = {"name": "EmoDB", "licence": "cc0-1.0", "language": "de"}
# How the Hub's own addresses begin, and what is there; models have no such beginning.
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf publish`."""
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        help=f"a run folder (its {', '.join(MODELS)} become ORG/NAME-aligner and so on), one model's folder, a feature "
        f"folder, `{METRIC}` (the metric as a Space) or `{EMBEDDED}` (the embedded features)",
    )
    parser.add_argument(
        "--repo", metavar="ORG/NAME", help="where to; the token is the one of `hf auth login` or HF_TOKEN"
    )
    parser.add_argument("--private", action="store_true", help="make the repository private")
    parser.add_argument("--revision", default="main", metavar="BRANCH", help="branch to commit to (default: main)")
    parser.add_argument("--dry-run", action="store_true", help="make and check everything, send nothing")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep what is (or would be) published in DIR")
    parser.add_argument(
        "--redistribution",
        metavar="yes|non-commercial|no",
        help="whether the corpora's licences let what is derived from them be passed on; required",
    )
    parser.add_argument("--licence", metavar="ID", help="Hub identifier of the licence (default: the corpora's own)")
    parser.add_argument("--audio-encoder", metavar="ID", help="put this encoder and its feature extractor inside")
    parser.add_argument("--text-encoder", metavar="ID", help="put this encoder and its tokenizer into the aligner")
    parser.add_argument("--corpus-licence", metavar="ID", help="licence of a feature folder's corpus")
    parser.add_argument(
        "--allow-memorised",
        action="store_true",
        help="publish a generator that memorises or was not measured, and say so",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for each repository")
    parser.add_argument(
        "--verify",
        metavar="[KIND/]ORG/NAME",
        help="download what was published and compare it with its manifest: ORG/NAME for a model, datasets/ORG/NAME, "
        "spaces/ORG/NAME",
    )


def run(args: argparse.Namespace) -> int:
    """Publish or verify; 0 when all was done, 1 when the Hub refused.

    Raises:
        ValueError: for what must not or cannot be published.
    """
    from mise_hf.hub.publish import PublishError

    try:
        return _verify(args) if args.verify else _publish(args)
    except PublishError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        # A full disk, a folder that may not be written, a repository that is not there.
        print(f"error: {error}; wanted room and rights to write, and names that exist", file=sys.stderr)
    return 1


def _verify(args: argparse.Namespace) -> int:
    from mise_hf.hub.checks import verify_repo

    folder, _, name = args.verify.partition("/")
    kind, name = (KINDS[folder], name) if folder in KINDS else ("model", args.verify)
    revision = None if args.revision == "main" else args.revision
    count = verify_repo(_repo(name), kind=kind, revision=revision)
    said = f"{args.verify}: {count} files, each as its manifest says"
    print(json.dumps({"repo": args.verify, "files": count, "verified": True}) if args.json else said)
    return 0


def _publish(args: argparse.Namespace) -> int:
    import tempfile

    from safetensors import SafetensorError

    if args.run is None or args.repo is None:
        raise ValueError("RUN or --repo is missing; wanted `mise-hf publish RUN --repo ORG/NAME --redistribution ...`")
    repo = _repo(args.repo)
    if args.out is not None and args.out.exists() and any(args.out.iterdir()):
        raise ValueError(f"{str(args.out)!r} is not empty; wanted a new or an empty folder for --out")
    with tempfile.TemporaryDirectory(prefix="mise_hf_publish_") as scratch:
        try:
            staged = _stage(args, repo, args.out or Path(scratch))
        except (OSError, SafetensorError) as error:
            raise OSError(f"{error} (nothing was sent)") from error
        for name, kind, folder in staged:
            _send(args, name, kind, folder)
    return 0


def _stage(args: argparse.Namespace, repo: str, root: Path) -> list[tuple[str, Any, Path]]:
    """(repository, kind, folder) of all that will be published; nothing is sent before all of it is checked."""
    from mise_hf.hub.staging import Statement, stage_dataset, stage_metric

    if args.run == METRIC and not Path(args.run).exists():
        root.mkdir(parents=True, exist_ok=True)
        stage_metric(root)
        return [(repo, "space", root)]
    statement = Statement(args.redistribution, args.licence, args.allow_memorised, args.private)
    statement.check()
    if args.run == EMBEDDED and not Path(args.run).exists():
        from importlib.resources import as_file, files

        with as_file(files("mise_hf") / "data" / EMBEDDED) as source:
            stage_dataset(source, root, repo, [EMBEDDED_CORPUS], statement)
        return [(repo, "dataset", root)]
    source = Path(args.run)
    if not source.is_dir():
        raise ValueError(
            f"{args.run!r} is no folder; wanted a run, a model or a feature folder, {METRIC} or {EMBEDDED}"
        )
    if (source / "fingerprint.json").is_file():
        if not args.corpus_licence:
            raise ValueError(
                "--corpus-licence is missing; wanted the licence of the corpus that the features come from"
            )
        stage_dataset(source, root, repo, [{"name": _corpus(source), "licence": args.corpus_licence}], statement)
        return [(repo, "dataset", root)]
    return [(name, "model", folder) for name, folder in _stage_models(args, source, repo, root, statement)]


def _stage_models(
    args: argparse.Namespace, source: Path, repo: str, root: Path, statement: Any
) -> list[tuple[str, Path]]:
    from mise_hf.hub.results import FILE, find_results, read_results
    from mise_hf.hub.staging import stage_model

    if (source / "config.json").is_file():
        models = [(source, repo, root)]
    else:
        models = [(source / n, f"{repo}-{n}", root / n) for n in MODELS if (source / n / "config.json").is_file()]
    if not models:
        raise ValueError(f"{args.run!r} holds no {' or '.join(MODELS)}; wanted a run folder or a model's folder")
    staged = []
    for folder, name, out in models:
        found = find_results(folder)
        if found is None:
            raise ValueError(
                f"neither {folder.name!r} nor its run has {FILE}, which says which corpora the weights come from and "
                "what was measured; wanted a finished run, or push_to_hub, which marks the card unmeasured (a "
                "generator's run gets it from `mise-hf measure`)"
            )
        # The encoder options concern the models that hear; a whole run's generator goes without.
        hears = folder.name != "generator" or len(models) == 1
        reads = folder.name == "aligner" or len(models) == 1
        out.mkdir(parents=True, exist_ok=True)
        stage_model(
            folder,
            out,
            name,
            read_results(found),
            statement,
            audio_encoder=args.audio_encoder if hears else None,
            text_encoder=args.text_encoder if reads else None,
        )
        staged.append((name, out))
    return staged


def _send(args: argparse.Namespace, repo: str, kind: Any, folder: Path) -> None:
    from mise_hf.hub.manifest import read_manifest
    from mise_hf.hub.publish import publish

    files = read_manifest(folder)["files"]
    if args.json:
        url = None if args.dry_run else publish(folder, repo, kind=kind, private=args.private, revision=args.revision)
        print(json.dumps({"repo": repo, "kind": kind, "url": url, "files": files}))
        return
    size = sum(entry["bytes"] for entry in files.values())
    print(f"{repo} ({kind}): {len(files)} files, {size / 1e6:.2f} MB")
    for name, entry in files.items():
        print(f"  {entry['sha256'][:12]}  {entry['bytes']:>10}  {name}")
    if args.dry_run:
        print("dry run: nothing was sent")
        return
    print(publish(folder, repo, kind=kind, private=args.private, revision=args.revision))


def _corpus(source: Path) -> str:
    from mise_hf.features.table import FeatureTable

    return FeatureTable.from_folder(source).corpus


def _repo(name: str) -> str:
    if not REPO.fullmatch(name) or ".." in name or "--" in name:
        raise ValueError(f"the repository is {name!r:.120}; wanted ORG/NAME of letters, digits, '-', '_' and '.'")
    return name
