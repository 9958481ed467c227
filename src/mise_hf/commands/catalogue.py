"""The table of contents of `mise-hf`: every command with its group, its module, a line of help and examples.

Imports the standard library only, so that `mise-hf --help` is quick.
"""

from dataclasses import dataclass

EXIT_STATUS = """exit status:
  0    done
  1    the input was refused, or the Hub or the disk did; the message says what was wanted
  2    wrong flags
  3    extract: done, but some recordings were rejected (rejected.jsonl says why)
  70   a fault of mise_hf itself; --debug shows where
  130  interrupted with Ctrl-C
"""


@dataclass(frozen=True)
class Command:
    """One command: the module with its `add_arguments` and `run`, imported when it is called."""

    group: str
    module: str
    summary: str
    examples: tuple[str, ...]


FIRST, SPEECH, MODELS, MEASURE, HUB, SHELL = (
    "First result",
    "From speech to features",
    "Models",
    "Does it help?",
    "The Hub",
    "Shell",
)

COMMANDS = {
    "demo": Command(
        FIRST,
        "mise_hf.commands.demo",
        "all of mise_hf on embedded speech, or on your own clips, in some minutes",
        (
            "mise-hf demo",
            "mise-hf demo --out runs/other --seed 1",
            "mise-hf demo --corpus clips.csv --audio-encoder openai/whisper-base --out runs/mine",
        ),
    ),
    "report": Command(
        FIRST,
        "mise_hf.commands.report",
        "a run -> one HTML page with its results, measures and curves",
        ("mise-hf report runs/demo", "mise-hf report runs/generator --out generator.html"),
    ),
    "prepare": Command(
        SPEECH,
        "mise_hf.corpora.command",
        "a corpus as its owner hands it out -> rows with labels, speakers, folds",
        (
            "mise-hf prepare emodb CORPUS_FOLDER --out prepared/emodb",
            "mise-hf prepare manifest clips.csv --out prepared/mine --column label=EMOTION --column audio=WAV",
            "mise-hf prepare folder recordings --out prepared/mine --speaker-pattern '^(\\d+)_'",
        ),
    ),
    "extract": Command(
        SPEECH,
        "mise_hf.features.command",
        "a prepared corpus -> pooled encoder states on disk",
        (
            "mise-hf extract prepared/emodb --out features/emodb --audio-encoder openai/whisper-base --layers 1-4",
            "mise-hf extract prepared/emodb --out features/emodb --audio-encoder openai/whisper-base "
            "--text-encoder sentence-transformers/all-MiniLM-L6-v2",
        ),
    ),
    "train": Command(
        MODELS,
        "mise_hf.commands.train",
        "aligner, generator or SER head from features",
        (
            "mise-hf train generator --features features/emodb --output-dir runs/generator",
            "mise-hf train classifier --features features/emodb --generator runs/generator --output-dir runs/ser",
            "mise-hf train aligner --config aligner.yaml --seed 1",
            "mise-hf train generator --help",
        ),
    ),
    "predict": Command(
        MODELS,
        "mise_hf.commands.predict",
        "emotion probabilities of recordings",
        (
            "mise-hf predict runs/demo/ser speech.wav --audio-encoder openai/whisper-base",
            "mise-hf predict org/mise-ser *.flac --json",
        ),
    ),
    "measure": Command(
        MEASURE,
        "mise_hf.commands.measure",
        "a trained generator, held against speakers left out of its training; needed to publish it",
        ("mise-hf measure runs/generator", "mise-hf measure runs/generator --json"),
    ),
    "quality": Command(
        MEASURE,
        "mise_hf.metrics.command",
        "how much emotion synthetic features carry, and how faithful they are",
        (
            "mise-hf quality --real features/test --synthetic runs/generator",
            "mise-hf quality --real features/test --synthetic features/made --layer 3 --by-class --json",
        ),
    ),
    "benchmark": Command(
        MEASURE,
        "mise_hf.commands.benchmark",
        "does augmentation help on this corpus? tables with spread and paired tests",
        (
            "mise-hf benchmark features/mine --out runs/benchmark --fractions 0.1,0.3,1 --seeds 5",
            "mise-hf benchmark features/mine --out runs/transfer --pretrained emodb_generator --only-pretrained",
            "mise-hf benchmark --config examples/paper/iemocap.yaml --workers 16",
            "mise-hf benchmark emodb --out runs/quick --quick",
        ),
    ),
    "publish": Command(
        HUB,
        "mise_hf.hub.command",
        "models, features or the metric to the Hub; or verify what came from it",
        (
            "mise-hf publish runs/demo --repo org/mise --redistribution yes --dry-run --out staged",
            "mise-hf publish runs/demo --repo org/mise --redistribution yes",
            "mise-hf publish --verify org/mise-generator",
        ),
    ),
    "completion": Command(
        SHELL,
        "mise_hf.commands.completion",
        "completion of commands and flags for bash, zsh or fish",
        (
            'eval "$(mise-hf completion bash)"',
            'eval "$(mise-hf completion zsh)"',
            "mise-hf completion fish > ~/.config/fish/completions/mise-hf.fish",
        ),
    ),
}


def table_of_contents() -> str:
    """The commands in their groups, one a line."""
    groups = dict.fromkeys(command.group for command in COMMANDS.values())
    lines = []
    for group in groups:
        lines.append(f"{group}:")
        lines += [f"  {name:12}{command.summary}" for name, command in COMMANDS.items() if command.group == group]
        lines.append("")
    lines += ["mise-hf COMMAND --help has the flags of a command, and examples.", "", EXIT_STATUS]
    return "\n".join(lines)


def examples(name: str) -> str:
    """The examples of a command, as the end of its help."""
    return "\n".join(["examples:", *(f"  {example}" for example in COMMANDS[name].examples)])
