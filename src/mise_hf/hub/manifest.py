"""The manifest of what was published: every file with its size and SHA-256. Imports the standard library only."""

import hashlib
import json
from pathlib import Path
from typing import Any

FILE = "mise_manifest.json"
# Git's own, written by the Hub and not by us.
NOT_OURS = (".gitattributes",)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_of(folder: Path) -> list[str]:
    """Files below `folder`, in POSIX form and order, without the manifest and what is not ours."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [name for name in names if name != FILE and name not in NOT_OURS]


def write_manifest(folder: Path, about: dict[str, Any]) -> None:
    """Write the manifest of all files below `folder`.

    Args:
        folder: what will be published.
        about: what else to state (kind, versions).
    """
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in files_of(folder)
    }
    text = json.dumps({**about, "files": files}, indent=2, sort_keys=True) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a published folder.

    Raises:
        ValueError: where there is none, or it is not as `write_manifest` writes it.
    """
    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"there is no {FILE}; wanted a revision that `mise-hf publish` made")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{FILE} is no JSON ({error}); download it again with force_download=True") from error
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(isinstance(e, dict) and "sha256" in e for e in files.values()):
        raise ValueError(f"{FILE} lists no files with their sha256; wanted one as `mise-hf publish` writes it")
    return manifest


def check_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, after comparing every file below `folder` with it.

    Raises:
        ValueError: naming the files that are missing, changed or not listed.
    """
    manifest = read_manifest(folder)
    listed, present = manifest["files"], set(files_of(folder))
    problems = [f"{name} is missing" for name in sorted(set(listed) - present)]
    problems += [f"{name} is not listed" for name in sorted(present - set(listed))]
    problems += [
        f"{name} has another SHA-256 than when it was published"
        for name in sorted(present & set(listed))
        if sha256(folder / name) != listed[name]["sha256"]
    ]
    if problems:
        raise ValueError(
            f"the files are not those of the manifest: {'; '.join(problems[:5])}; download them again with "
            "force_download=True, and do not use them until they match"
        )
    return manifest
