"""What stands in a test for what README names: the one list. Everything else runs as printed."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Sections whose blocks are run elsewhere: with a Hub on loopback, by tests/hub/test_readme_section.py.
ELSEWHERE = {"Publish and pull"}
# Commands that are not run again inside a test run: what they must at least point at.
NOT_RUN = {
    "make": lambda words: re.search(rf"^{re.escape(words[1])}:", (ROOT / "Makefile").read_text(), re.MULTILINE),
    "torchrun": lambda words: True,
    "python": lambda words: (ROOT / words[1]).is_file(),
    "pip": lambda words: words[1:] == ["install", "."],
}


def substitutions(shared: Path, clips: Path) -> list[tuple[str, str]]:
    """(pattern, replacement) for a block's text."""
    return [
        # Encoders on the Hub: the same models, beside the repository.
        (r"openai/whisper-base\b", str(shared / "encoders" / "whisper-base-encoder")),
        (r"sentence-transformers/all-MiniLM-L6-v2\b", str(shared / "encoders" / "all-minilm-l6-v2")),
        # A corpus of the user's: the twenty clips of EmoDB that the repository carries.
        (r"\bCORPUS_FOLDER\b", str(clips)),
        # Trainings and generators of a few steps; their results are tested in tests/training and tests/test_demo.py.
        (r"(-m mise_hf\.training\.\w+ |mise-hf train \w+ )", r"\1--steps 3 "),
        (r"(mise-hf demo --corpus \S+)", r"\1 --steps 3"),
        # Twenty clips of two speakers are too few to leave speakers out.
        (r"--features features/voices --exclude_speakers ANNA BEN", "--features emodb --exclude_speakers 11 13"),
        # A minute, which the section Measure spends on another run; and publishing has tests of its own, with a Hub.
        (r"(mise-hf (?:measure|publish) runs/voices.*)", r"\1 --help"),
        # Studies of minutes: here their flags are parsed, tests/benchmark runs them.
        (r"(mise-hf benchmark .*)", r"\1 --help"),
        # Rows of the user's: what the block before has extracted.
        (r"\bfeatures/mine\b", "features/emodb"),
        # What the shell would be told.
        (r'eval "\$\((.*)\)"', r"\1"),
    ]
