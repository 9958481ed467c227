"""`mise-hf completion`: scripts that complete commands, flags and choices, made from the parser itself."""

import argparse
import shlex
from dataclasses import fields

SHELLS = ("bash", "zsh", "fish")

BASH = """# bash completion of mise-hf; in ~/.bashrc: eval "$(mise-hf completion bash)"
_mise_hf() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{commands}"
  else
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _mise_hf mise-hf
"""
# zsh runs the same function through its emulation of bash's completion.
ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n{bash}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mise-hf completion`."""
    parser.add_argument("shell", choices=SHELLS, help="for which shell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    print(script(args.shell), end="")
    return 0


def script(shell: str) -> str:
    """The completion script for one of `SHELLS`."""
    from mise_hf.commands.catalogue import COMMANDS

    words = {name: _words(name) for name in COMMANDS}
    if shell == "fish":
        return _fish(words)
    cases = "\n".join(f'      {name}) words="{" ".join(found)}" ;;' for name, found in words.items())
    bash = BASH.format(commands=" ".join((*COMMANDS, "--help", "--version")), cases=cases)
    return bash if shell == "bash" else ZSH.format(bash=bash)


def _words(name: str) -> dict[str, str]:
    """Every flag and choice of a command, with its help."""
    from mise_hf.cli import build_parser

    parser = build_parser([name])
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    words: dict[str, str] = {}
    for action in commands.choices[name]._actions:
        text = "" if action.help in (None, argparse.SUPPRESS) else str(action.help)
        words |= dict.fromkeys((flag for flag in action.option_strings if flag.startswith("--")), text)
        if action.choices and not action.option_strings:
            words |= dict.fromkeys(map(str, action.choices), "")
    if name == "train":
        from mise_hf.commands.train import TRAININGS, argument_class

        for what in TRAININGS:
            for field in fields(argument_class(what)):
                words[f"--{field.name.replace('_', '-')}"] = str(field.metadata.get("help", ""))
    return words


def _fish(words: dict[str, dict[str, str]]) -> str:
    from mise_hf.commands.catalogue import COMMANDS

    lines = ["# fish completion of mise-hf; save as ~/.config/fish/completions/mise-hf.fish"]
    for name, command in COMMANDS.items():
        lines.append(f"complete -c mise-hf -n __fish_use_subcommand -f -a {name} -d {shlex.quote(command.summary)}")
    for name, found in words.items():
        for word, text in found.items():
            what = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
            lines.append(f"complete -c mise-hf -n '__fish_seen_subcommand_from {name}' {what} -d {shlex.quote(text)}")
    return "\n".join(lines) + "\n"
