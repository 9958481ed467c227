"""README's code blocks by heading, and running them in this process, in order, in one folder."""

import contextlib
import importlib
import io
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from substitutions import ELSEWHERE, NOT_RUN

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL_WORDS = ("mise-hf", "accelerate", "make", "python", "pip", "torchrun")


@dataclass
class Block:
    heading: str
    language: str
    text: str
    expected: str | None = None
    printed: str = ""
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def is_shell(self) -> bool:
        return self.language == "bash" or (not self.language and self.text.split(maxsplit=1)[0] in SHELL_WORDS)


def blocks(readme: str) -> list[Block]:
    """Python and shell blocks in order; a plain block right behind a Python one is what it prints."""
    found: list[Block] = []
    for section in re.split(r"^## ", readme, flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        last_end = -1
        for match in FENCE.finditer(section):
            block = Block(heading, match[1], match[2])
            follows = found and found[-1].heading == heading and not section[last_end : match.start()].strip()
            if not block.language and not block.is_shell:
                if follows and found[-1].language == "python":
                    found[-1].expected = block.text
            else:
                found.append(block)
            last_end = match.end()
    return found


def run(block: Block, replacements: list[tuple[str, str]]) -> None:
    """Run one block in the current folder; its print and exit statuses are kept in it."""
    text = block.text
    for pattern, replacement in replacements:
        text = re.sub(pattern, replacement, text)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        if block.is_shell:
            for line in commands(text):
                block.statuses[line] = run_line(shlex.split(line))
        else:
            exec(compile(text, f"README, {block.heading}", "exec"), {"__name__": "__main__"})
    block.printed = out.getvalue()


def commands(text: str) -> list[str]:
    """Whole command lines, without comments; templates with `...` are left out."""
    lines = text.replace("\\\n", " ").splitlines()
    return [bare for line in lines if (bare := re.sub(r"\s+#.*", "", line).strip()) and "..." not in bare]


def run_line(words: list[str]) -> int:
    """A command in this process: starting each one anew would cost seconds of imports."""
    if words[0] == "mise-hf":
        try:
            return importlib.import_module("mise_hf.cli").main(words[1:])
        except SystemExit as left:
            # `--help` and wrong flags leave this way.
            return int(left.code or 0)
    if words[:3] == ["accelerate", "launch", "-m"]:
        module = importlib.import_module(words[3])
        return int(module.main(words[4:]) or 0)
    assert words[0] in NOT_RUN, f"{words[0]!r} is no command that README's test knows"
    assert NOT_RUN[words[0]](words), f"{shlex.join(words)} points at nothing"
    return 0


@contextlib.contextmanager
def inside(folder: Path):
    """Work in `folder`."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_all(readme: str, folder: Path, replacements: list[tuple[str, str]]) -> list[Block]:
    """Every block that is not run elsewhere; a later one finds what an earlier one left."""
    found = [block for block in blocks(readme) if block.heading not in ELSEWHERE]
    with inside(folder):
        for block in found:
            try:
                run(block, replacements)
            except (Exception, SystemExit) as error:
                raise AssertionError(f"README, {block.heading}: {error!r}\n{block.text}") from error
    return found
