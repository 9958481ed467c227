"""Fresh Python processes with chosen distributions only, an empty cache, and nothing of the parent's set-up."""

import os
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

from loopback import WRITER
from packaging.requirements import Requirement

SOURCE = Path(__file__).parents[2] / "src"
SECONDS = 240
CLIPS = Path(__file__).parents[1] / "data" / "emodb"


def closure(*names: str) -> dict[str, metadata.Distribution]:
    """The installed distributions that `names` need, extras left out."""
    found: dict[str, metadata.Distribution] = {}
    queue = list(names)
    while queue:
        name = queue.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        for text in found[name].requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                queue.append(requirement.name)
    return found


def environment_with(folder: Path, *names: str) -> Path:
    """A venv that holds `names` and what they need, as links, and nothing else; returns its interpreter."""
    venv.create(folder, with_pip=False, symlinks=True)
    scheme = {"base": str(folder), "platbase": str(folder)}
    library = Path(sysconfig.get_path("purelib", "venv", scheme))
    for distribution in closure(*names).values():
        for part in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            source, link = Path(str(distribution.locate_file(part))), library / part
            if source.exists() and not link.exists():
                link.symlink_to(source)
    return folder / "bin" / "python"


def process_environment(url: str, home: Path, token: str | None = None, **extra: str) -> dict[str, str]:
    """Variables of a process that knows one Hub, one empty home and no more of this machine than its programs."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        **({"HF_TOKEN": token} if token else {}),
        **extra,
    }


def python(
    code: str, url: str, home: Path, *, interpreter: Path | None = None, token: str | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh process; the parent's interpreter sees mise_hf, another sees what it holds."""
    variables = process_environment(url, home, token, **extra)
    if interpreter is None:
        variables["PYTHONPATH"] = str(SOURCE)
    home.mkdir(parents=True, exist_ok=True)
    command = [str(interpreter or sys.executable), "-W", "ignore", "-c", code]
    return subprocess.run(command, env=variables, cwd=home, capture_output=True, text=True, timeout=SECONDS)


def mise_hf(
    arguments: list[str], url: str, home: Path, token: str | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run `mise-hf publish ...` in a fresh process."""
    home.mkdir(parents=True, exist_ok=True)
    variables = process_environment(url, home, token, PYTHONPATH=str(SOURCE), **extra)
    command = [sys.executable, "-m", "mise_hf.cli", "publish", *arguments]
    return subprocess.run(command, env=variables, cwd=home, capture_output=True, text=True, timeout=SECONDS)


def publish_command(hub, home: Path, source: Path, repo: str, *flags) -> None:
    """`mise-hf publish` in a fresh process."""
    arguments = [str(source), "--repo", repo, "--redistribution", "yes", *map(str, flags)]
    done = mise_hf(arguments, hub.url, home, WRITER)
    assert done.returncode == 0, done.stderr
