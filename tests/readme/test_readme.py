"""Every code block of README runs as printed, and prints what stands behind it."""

import csv
import re

import pytest
import soundfile
from blocks import blocks, commands, run_all, run_line
from substitutions import ELSEWHERE, ROOT, substitutions

from mise_hf.commands.catalogue import COMMANDS

README = (ROOT / "README.md").read_text(encoding="utf-8")
EMOTIONS = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}


@pytest.fixture(scope="module")
def ran(demo_run, shared_dir, clips_dir, tmp_path_factory):
    """The blocks, run in README's order in a folder with the demo's run, a recording and a list of clips."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "runs").mkdir()
    (folder / "runs" / "demo").symlink_to(demo_run.folder)
    clips = sorted(clips_dir.glob("*.flac"))
    soundfile.write(folder / "speech.wav", *soundfile.read(clips[0]))
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(clip, EMOTIONS[clip.stem[5]], clip.stem[:2]) for clip in clips]
        csv.writer(file).writerows([("file", "emotion", "speaker"), *rows])
    return run_all(README, folder, substitutions(shared_dir, clips_dir))


def test_every_command_ends_well(ran):
    statuses = {line: status for block in ran for line, status in block.statuses.items()}
    assert len(statuses) > 8
    assert not {line: status for line, status in statuses.items() if status}


def test_every_python_block_prints_what_readme_says(ran):
    told = [block for block in ran if block.expected is not None]
    assert len(told) >= 3
    for block in told:
        assert block.printed == block.expected, block.heading


def test_every_command_of_mise_hf_is_in_readme():
    shown = set(re.findall(r"mise-hf (\w+)", README))
    assert set(COMMANDS) <= shown


def test_what_is_run_elsewhere_is_there():
    assert {block.heading for block in blocks(README)} >= ELSEWHERE


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!https?://|#)([^)]+)\)", README):
        assert (ROOT / target).is_file(), target
    headings = {
        re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in re.findall(r"^#+ (.*)$", README, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= headings


def test_blocks_are_found_as_they_are_written():
    python = "## One\n```python\nprint(1)\n```\n\n```\n1\n```\n\nWords.\n\n```\nnot a print\n```\n"
    shell = "## Two\n```\nmise-hf x \\\n  y # why\n```\n"
    first, second = blocks(python + shell)
    assert (first.heading, first.expected, first.is_shell) == ("One", "1\n", False)
    assert second.is_shell and commands(second.text) == ["mise-hf x    y"]


def test_statuses_are_those_of_the_commands(capsys):
    assert run_line(["mise-hf", "predict", "--help"]) == 0
    assert run_line(["mise-hf", "predict", "--no-such-flag"]) == 2
    assert run_line(["make", "test"]) == 0
    with pytest.raises(AssertionError, match="points at nothing"):
        run_line(["make", "coffee"])
    with pytest.raises(AssertionError, match="no command that README's test knows"):
        run_line(["curl", "something"])
