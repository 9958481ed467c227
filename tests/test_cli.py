"""`mise-hf` itself: its table of contents, exit statuses, errors in a line, completion."""

import argparse
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from mise_hf.cli import build_parser, main
from mise_hf.commands import completion
from mise_hf.commands.catalogue import COMMANDS, EXIT_STATUS, FIRST, Command, table_of_contents


def fresh(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)


@pytest.fixture
def failing(monkeypatch):
    """A command that raises what it is told to."""
    raised: list[BaseException] = []

    def run(args: argparse.Namespace) -> int:
        raise raised[0]

    module = type(sys)("failing_command")
    module.add_arguments, module.run = (lambda parser: None), run
    monkeypatch.setitem(sys.modules, "failing_command", module)
    monkeypatch.setitem(COMMANDS, "fail", Command(FIRST, "failing_command", "fails", ("mise-hf fail",)))
    return raised


def test_help_is_a_table_of_contents_and_imports_nothing_heavy():
    code = (
        "import sys; from mise_hf.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'numpy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = fresh("-c", code)
    assert done.stderr.strip() == "[]"
    assert table_of_contents() in done.stdout
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.summary)}$", done.stdout, re.MULTILINE)
    assert "exit status:" in done.stdout and max(map(len, done.stdout.splitlines())) <= 120


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_parse(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert EXIT_STATUS.strip() in shown
    for example in COMMANDS[name].examples:
        assert example in shown
        words = re.sub(r'^eval "\$\((.*)\)"$', r"\1", example).split(" > ")[0].replace("'", "").split()
        assert words[:2] == ["mise-hf", name]
        assert build_parser([name]).parse_args(words[1:]).command == name


@pytest.mark.parametrize("name", [n for n in COMMANDS if n not in ("completion", "train")])
def test_every_command_that_prints_a_result_has_json(name):
    commands = next(a for a in build_parser([name])._actions if isinstance(a, argparse._SubParsersAction))
    assert "--json" in commands.choices[name].format_help()


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (ValueError("got 1;\n\nwanted 2"), 1, "got 1; wanted 2"),
        (OSError("no room"), 1, "no room"),
        (KeyError("inside"), 70, "KeyError"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_are_a_line_and_what_to_do(failing, capsys, error, status, said):
    failing.append(error)
    assert main(["fail"]) == status
    shown = capsys.readouterr().err.strip().splitlines()
    assert said in shown[0] and len(shown) <= 2 and not any("Traceback" in line for line in shown)
    for position in (["--debug", "fail"], ["fail", "--debug"]):
        with pytest.raises(type(error)):
            main(position)


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_a_reader_that_leaves_is_no_error(flag):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as pipe:
        command = [sys.executable, "-m", "mise_hf.cli", flag]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "did you mean train?"),
        (["xyzzy"], "wanted one of demo"),
        (["predict"], "required: SER, FILE"),
        (["train", "everything"], "aligner"),
        (["report", "runs/demo", "--pdf"], "mise-hf report: unknown flags --pdf"),
    ],
)
def test_wrong_flags_are_two_lines_and_status_2(words, said, capsys):
    try:
        status = main(words)
    except SystemExit as left:
        status = left.code
    shown = capsys.readouterr().err
    assert status == 2 and said in shown and "--help" in shown and len(shown.strip().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "runs/none", "no.wav"], "no.wav: is no file"),
        (["extract", "prepared", "--out", "out", "--audio-encoder", "./no/such"], "'./no/such' is no folder"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_loaded(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiny_corpus(tmp_path)
    assert main(words) == 1
    assert said in capsys.readouterr().err


def write_tiny_corpus(folder):
    """A prepared corpus of two clips in `folder`/prepared."""
    tone = np.sin(np.arange(16000) / 9)
    rows = ["file,emotion,speaker"]
    for number in range(2):
        soundfile.write(folder / f"{number}.wav", tone * (number + 1) / 3, 16000)
        rows.append(f"{number}.wav,{'ab'[number]},s{number}")
    (folder / "list.csv").write_text("\n".join(rows))
    assert main(["prepare", "manifest", str(folder / "list.csv"), "--out", str(folder / "prepared")]) == 0


def test_no_command_prints_the_contents(capsys):
    assert main([]) == 2
    assert "First result:" in capsys.readouterr().out
    assert main(["--version"]) == 0


def test_bash_completes_commands_and_flags():
    script = completion.script("bash")

    def complete(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in ("mise-hf", *words))
        lines = f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _mise_hf; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr
        return done.stdout.split()

    assert complete("pr") == ["prepare", "predict"]
    assert complete("prepare", "--te") == ["--text-only", "--test"]
    assert "crema-d" in complete("prepare", "cre")
    assert "--mi-weight" in complete("train", "generator", "--mi")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_every_command(shell):
    script = completion.script(shell)
    assert all(name in script for name in COMMANDS) and "learning" in script


def test_train_says_where_the_model_is(toy_table, tmp_path, monkeypatch, capsys):
    import mise_hf.training.rows

    monkeypatch.setattr(mise_hf.training.rows, "open_table", lambda name: toy_table)
    words = ["train", "generator", "--steps", "2", "--layer", "1", "--feature-size", "4", "--batch-size", "8"]
    assert main([*words, "--output-dir", str(tmp_path / "run"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert said["folder"] == str(tmp_path / "run") and said["last_step"]["step"] == 1
    assert (tmp_path / "run" / "model.safetensors").is_file()
