"""Completion scripts for bash, zsh and fish, made from the parsers of all commands."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from drum_litestar.cli.argument_parser import Parser
from drum_litestar.cli.argument_types import Choice, directory
from drum_litestar.errors import UsageError

PROGRAM: Final = "drum-litestar"


class Option(NamedTuple):
    """An option as a shell sees it."""

    spellings: tuple[str, ...]
    help: str
    takes_value: bool
    values: tuple[str, ...] = ()
    directories: bool = False


class Command(NamedTuple):
    """A command, or the program itself, whose ``path`` is empty."""

    path: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    words: Mapping[str, str]
    """What may follow: its sub-commands with their help, or the values of its positional argument."""

    @property
    def name(self) -> str:
        return " ".join(self.path)


def script(shell: str, root: Parser) -> str:
    """The script for ``shell``. ``root`` has the parsers of all commands."""
    return SHELLS[shell].script(list(_walk(root, (), "")))


def install(shell: str, root: Parser, environ: Mapping[str, str]) -> str:
    """Write the script where ``shell`` looks for it; returns what is left to say. Raises UsageError."""
    kind = SHELLS[shell]
    path = kind.path(environ)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script(shell, root), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--install-completion: {path} cannot be written: {error.strerror}") from error
    return f"Completion for {shell} is in {path}. {kind.remark.format(path=shlex.quote(str(path)))}"


def shell_of(word: str | bool, option: str, environ: Mapping[str, str]) -> str:
    """The shell ``word``, or the user's login shell for :data:`OWN_SHELL`. Raises UsageError."""
    if isinstance(word, str):
        return word
    shell = Path(environ.get("SHELL", "")).name
    if shell not in SHELLS:
        found = f"the variable SHELL names '{shell}'" if shell else "the variable SHELL names none"
        raise UsageError(f"{option} knows {', '.join(SHELLS)}, but {found}: name the shell, as in {option} bash")
    return shell


def run(args: argparse.Namespace) -> int:
    """Print or install the script. Raises UsageError."""
    if args.show_completion is not None:
        shell = shell_of(args.show_completion, "--show-completion", args.environ)
        print(script(shell, args.root), end="")
    else:
        shell = shell_of(args.install_completion, "--install-completion", args.environ)
        print(install(shell, args.root, args.environ))
    return 0


def _walk(parser: Parser, path: tuple[str, ...], text: str) -> Iterator[Command]:
    named = {word: "" for action in parser.arguments if not action.option_strings for word in _values(action)}
    yield Command(path, text, tuple(_options(parser)), parser.summaries or named)
    for name, inner in parser.commands.items():
        yield from _walk(inner, (*path, name), parser.summaries[name])


def _options(parser: Parser) -> Iterator[Option]:
    for action in parser.arguments:
        if action.option_strings:
            text = _first_words(action.help or "")
            takes_value = action.nargs != 0
            yield Option(tuple(action.option_strings), text, takes_value, _values(action), action.type is directory)


def _values(action: argparse.Action) -> tuple[str, ...]:
    if isinstance(action.type, Choice):
        return action.type.words
    return tuple(map(str, action.choices or ()))


def _first_words(text: str) -> str:
    """The first part of a help text, on one line and without what shells might take for their own."""
    first = " ".join(text.replace("%%", "%").split()).partition(";")[0].partition(" (")[0]
    return "".join(letter for letter in first if letter.isalnum() or letter in " ,.-/_<>=+")[:80]


_BASH_FILES: Final = "IFS=$'\\n'; compopt -o filenames 2>/dev/null"
"""Before the names of files, which may hold spaces."""


def _bash(commands: list[Command]) -> str:
    lines = [
        f"# bash completion of {PROGRAM}",
        "_drum_litestar() {",
        '    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"',
        """    local path="" words="" names="" IFS=$' \\n'""",
        "    COMPREPLY=()",
        *_find_path(commands, "COMP_WORDS", "COMP_CWORD > {}", first=0),
        '    case "$path $prev" in',
    ]
    for command in commands:
        for option in command.options:
            if option.takes_value and (option.values or option.directories):
                pattern = "|".join(f'"{command.name} {spelling}"' for spelling in option.spellings)
                what = f"-W '{' '.join(option.values)}'" if option.values else "-d"
                files = "" if option.values else f"{_BASH_FILES}; "
                lines.append(f'        {pattern}) {files}COMPREPLY=($(compgen {what} -- "$cur")); return ;;')
    lines += ["    esac", '    case "$path" in']
    for command in commands:
        words = [spelling for option in command.options for spelling in option.spellings]
        lines.append(f'        "{command.name}") words="{" ".join(words)}" names="{" ".join(command.words)}" ;;')
    lines += [
        "    esac",
        '    if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$words" -- "$cur"))',
        '    elif [[ -n $names ]]; then COMPREPLY=($(compgen -W "$names" -- "$cur"))',
        f'    else {_BASH_FILES}; COMPREPLY=($(compgen -f -- "$cur")); fi',
        "}",
        f"complete -F _drum_litestar {PROGRAM}",
    ]
    return "\n".join(lines) + "\n"


def _find_path(commands: list[Command], words: str, condition: str, *, first: int) -> list[str]:
    """Lines that set ``path`` to the command that the words before the cursor name. ``first``: index of the program."""
    lines = []
    depth = max(len(command.path) for command in commands)
    for level in range(1, depth + 1):
        names = "|".join(f'"{command.name}"' for command in commands if len(command.path) == level)
        word = f"${{{words}[{first + level}]}}"
        lines += [
            f"    if (( {condition.format(first + level)} )); then",
            f'        local next="${{path:+$path }}{word}"',
            f'        case "$next" in {names}) path="$next" ;; esac',
            "    fi",
        ]
    return lines


def _zsh(commands: list[Command]) -> str:
    lines = [
        f"#compdef {PROGRAM}",
        "_drum_litestar() {",
        '    local cur="${words[CURRENT]}" prev="${words[CURRENT-1]}" path_=""',
        "    local -a options names",
    ]
    lines += [line.replace("path", "path_") for line in _find_path(commands, "words", "CURRENT > {}", first=1)]
    lines.append('    case "$path_ $prev" in')
    for command in commands:
        for option in command.options:
            if option.takes_value and (option.values or option.directories):
                pattern = "|".join(f'"{command.name} {spelling}"' for spelling in option.spellings)
                what = f"compadd {' '.join(option.values)}" if option.values else "_files -/"
                lines.append(f"        {pattern}) {what}; return ;;")
    lines += ["    esac", '    case "$path_" in']
    for command in commands:
        described = [f"'{spelling}:{option.help}'" for option in command.options for spelling in option.spellings]
        named = [f"'{name}:{_first_words(text)}'" for name, text in command.words.items()]
        lines.append(f'        "{command.name}") options=({" ".join(described)}) names=({" ".join(named)}) ;;')
    lines += [
        "    esac",
        "    if [[ $cur == -* ]]; then _describe -o option options",
        "    elif (( $#names )); then _describe command names",
        "    else _files; fi",
        "}",
        'if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _drum_litestar "$@"',
        f"else compdef _drum_litestar {PROGRAM}; fi",
    ]
    return "\n".join(lines) + "\n"


def _fish(commands: list[Command]) -> str:
    lines = [f"# fish completion of {PROGRAM}"]
    for command in commands:
        seen = [f"__fish_seen_subcommand_from {name}" for name in command.path]
        if command.words:
            seen.append(f"not __fish_seen_subcommand_from {' '.join(command.words)}")
        start = f"complete -c {PROGRAM} -n '{'; and '.join(seen)}'" if seen else f"complete -c {PROGRAM}"
        for name, text in command.words.items():
            lines.append(f"{start} -f -a {name} -d '{_first_words(text)}'")
        for option in command.options:
            words = [_fish_spelling(spelling) for spelling in option.spellings]
            if option.values:
                words.append(f"-x -a '{' '.join(option.values)}'")
            elif option.directories:
                words.append("-x -a '(__fish_complete_directories)'")
            elif option.takes_value:
                words.append("-r -F")
            lines.append(f"{start} {' '.join(words)} -d '{option.help}'")
    return "\n".join(lines) + "\n"


def _fish_spelling(spelling: str) -> str:
    name = spelling.lstrip("-")
    return f"-l {name}" if spelling.startswith("--") else f"-s {name}" if len(name) == 1 else f"-o {name}"


def _below(variable: str, default: str, rest: str) -> Callable[[Mapping[str, str]], Path]:
    """A path below the folder that ``variable`` names, or ``default`` in the home directory."""
    return lambda environ: Path(environ.get(variable) or Path(environ.get("HOME", "~")).expanduser() / default) / rest


class Shell(NamedTuple):
    """A shell: its script, where it looks for it, and what the user has to know."""

    script: Callable[[list[Command]], str]
    path: Callable[[Mapping[str, str]], Path]
    remark: str


SHELLS: Final[Mapping[str, Shell]] = {
    "bash": Shell(
        _bash,
        _below("XDG_DATA_HOME", ".local/share", f"bash-completion/completions/{PROGRAM}"),
        "New shells find it if the package bash-completion is there; else add to ~/.bashrc: source {path}",
    ),
    "zsh": Shell(
        _zsh,
        _below("ZDOTDIR", "", f".zfunc/_{PROGRAM}"),
        "Add to ~/.zshrc, unless it is there: fpath+=(~/.zfunc); autoload -Uz compinit && compinit",
    ),
    "fish": Shell(
        _fish, _below("XDG_CONFIG_HOME", ".config", f"fish/completions/{PROGRAM}.fish"), "New shells find it."
    ),
}
