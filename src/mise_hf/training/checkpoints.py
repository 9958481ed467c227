"""Checkpoints of a run: there whole or not at all, known by their hash, the newest two kept.

`checkpoints/step-N/state.pt` holds weights and optimisers, `manifest.json` its size and SHA-256. There is no state of a
random source: every draw of a step is a function of (seed, step).
"""

import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

KEPT_CHECKPOINTS = 2
STATE, MANIFEST = "state.pt", "manifest.json"


def write_checkpoint(home: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `home`/step-N, then drop all but the newest two; returns the folder."""
    home.mkdir(exist_ok=True)
    final, draft = home / f"step-{step:08d}", home / f".draft-{step:08d}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    manifest = {"step": step, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    _write(draft / STATE, content)
    _write(draft / MANIFEST, json.dumps(manifest).encode())
    _flush_folder(draft)
    draft.rename(final)
    _flush_folder(home)
    for old in sorted(home.glob("step-*"))[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)
    return final


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state that `path` holds, on the CPU.

    Raises:
        ValueError: where it is not whole, saying why.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        content = (path / STATE).read_bytes()
    except (OSError, ValueError) as error:
        raise ValueError(f"checkpoint {path.name} cannot be read ({error}); wanted {STATE} and {MANIFEST}") from error
    found = hashlib.sha256(content).hexdigest()
    if not isinstance(manifest, dict) or manifest.get("sha256") != found:
        raise ValueError(
            f"checkpoint {path.name} has {len(content)} bytes with the SHA-256 {found:.12}; its manifest says "
            f"{manifest}"
        )
    return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")


def newest_whole(home: Path) -> tuple[Path | None, dict[str, Any] | None, list[str]]:
    """The newest whole checkpoint and its state, None where there is none; and what is wrong with each newer one.

    Newer ones are set aside as broken-step-N: they must not count among the two that are kept.
    """
    problems: list[str] = []
    for path in sorted(home.glob("step-*"), reverse=True):
        try:
            return path, read_checkpoint(path), problems
        except ValueError as error:
            problems.append(str(error))
            aside = path.with_name(f"broken-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
    return None, None, problems


def _write(path: Path, content: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    """Make names in a folder survive a power cut, where the system lets a folder be opened."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
