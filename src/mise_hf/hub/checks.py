"""What must hold of a folder before it is published, and of a repository before it is used.

Imports the manifest and huggingface_hub.
"""

import re
import tempfile
from pathlib import Path

from mise_hf.hub.manifest import FILE, check_manifest, files_of

# Formats that run code or unpickle when they are read; weights are safetensors and rows are Parquet.
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".msgpack")
TEXT = (".md", ".json", ".jsonl", ".py", ".txt", ".yaml", ".yml", ".toml")
TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{30,}\b|\b(?:ghp|github_pat|sk|AKIA)[-_]?[A-Za-z0-9]{20,}\b")
LOCAL_PATH = re.compile(
    r"(?:(?<![\w:/.<])/(?:home|root|work|tmp|var|mnt|data|opt|srv|scratch|Users|private|media)/[\w.-]+)"
    r"|(?:\b[A-Za-z]:\\+[\w.-]+)|(?:file://)|(?:(?<![\w/])~/[\w.-]+)"
)
UNFILLED = re.compile(r"\{\{|\}\}|\{%|%\}|\bTODO\b|\bFIXME\b|\bUndefined\b")
EMPTY_CELL = re.compile(r"^\|(?:.*\|)?[ \t]*(?:None|nan|null)?[ \t]*\|", re.MULTILINE | re.IGNORECASE)


def check_text(name: str, text: str) -> None:
    """Check that a text file tells nothing of the machine it was made on.

    Raises:
        ValueError: for a token (which the message does not repeat) or a path of this machine.
    """
    if TOKEN.search(text):
        raise ValueError(f"{name} holds what looks like an access token; wanted none: remove it, and revoke the token")
    found = LOCAL_PATH.search(text)
    if found:
        raise ValueError(f"{name} holds the local path {found[0]!r:.80}; wanted none: name encoders by their Hub id")


def check_card(text: str) -> None:
    """Check that a rendered card has no field left empty.

    Raises:
        ValueError: for an unfilled variable, an empty field or table cell, a local path or a token.
    """
    check_text("README.md", text)
    unfilled = UNFILLED.search(text)
    if unfilled:
        raise ValueError(f"README.md holds {unfilled[0]!r}; wanted every variable of the template filled")
    lines = text.split("\n")
    if lines[0] != "---" or "---" not in lines[1:]:
        raise ValueError(f"README.md begins with {lines[0]!r:.40}; wanted metadata between two lines of '---'")
    end = lines.index("---", 1)
    for line in lines[1:end]:
        if re.fullmatch(r"\s*[\w-]+:\s*(?:null|''|\"\"|\[\]|\{\}|None|nan|\.nan)", line):
            raise ValueError(f"README.md has the metadata {line.strip()!r}; wanted a value")
    if EMPTY_CELL.search("\n".join(lines[end:])):
        raise ValueError("README.md has a table with an empty cell; wanted a value in each")


def check_folder(folder: Path) -> None:
    """Check a folder that is about to be published.

    Raises:
        ValueError: for no card, a file that unpickles, a link, a token or a local path in a text file, an empty field
            of the card, or files that are not those of the manifest.
    """
    for name in files_of(folder):
        path = folder / name
        if path.is_symlink():
            raise ValueError(f"{name} is a link; wanted files only")
        if path.suffix.lower() in PICKLES:
            raise ValueError(f"{name} may run code when read; wanted safetensors or Parquet")
        if path.suffix.lower() in TEXT:
            check_text(name, path.read_text(encoding="utf-8"))
    card = folder / "README.md"
    if not card.is_file():
        raise ValueError("there is no README.md; wanted a card")
    check_card(card.read_text(encoding="utf-8"))
    check_manifest(folder)


def verify_repo(repo: str, *, kind: str = "model", revision: str | None = None) -> int:
    """Download a revision and compare every file with its manifest; returns the number of files.

    The client checks lengths only: bytes that changed on the way, or in the cache, come to light here.

    Raises:
        ValueError: for a repository without manifest, or files that differ from it.
    """
    from huggingface_hub import snapshot_download

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(snapshot_download(repo, repo_type=kind, revision=revision))
        # Links of the cache resolve to blobs; compare what a reader of the cache would read.
        manifest = check_manifest(folder)
        fresh = Path(
            snapshot_download(repo, repo_type=kind, revision=revision, allow_patterns=[FILE], cache_dir=scratch)
        )
        if (fresh / FILE).read_bytes() != (folder / FILE).read_bytes():
            raise ValueError(
                f"the cached {FILE} of {repo} is not the one on the Hub; download with force_download=True"
            )
    return len(manifest["files"])
