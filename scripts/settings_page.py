"""The generated parts of docs/settings.md: the settings from their declarations, and the options that have variables.

``python scripts/settings_page.py --write`` writes them; without ``--write`` they are printed. A test compares them.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_type_hints

from page_parts import markdown_table, replace_part

from drum_litestar.cli.environment_arguments import FLAGS, TEXTS
from drum_litestar.settings.declaration import Declared, declared
from drum_litestar.settings.resolve import shown_value
from drum_litestar.settings.server_settings import ServerSettings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
SCRIPT = "scripts/settings_page.py"
TITLES = {
    "listen": "Listening",
    "model": "Model",
    "workers": "Workers",
    "admission": "Queue and batches",
    "timeouts": "Timeouts",
    "connections": "Connections",
    "uploads": "Bodies and forms",
    "rate_limit": "Rate limit",
    "cors": "Cross-origin requests",
    "answers": "Answers",
    "tls": "TLS",
    "access": "Access",
    "log": "Logs",
    "traces": "Traces",
    "loop": "Event loop",
}
"""Headings of the groups."""


def main() -> None:
    parser = argparse.ArgumentParser(prog=SCRIPT, description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    if parser.parse_args().write:
        text = PAGE.read_text()
        for part, content in PARTS.items():
            text = replace_part(text, SCRIPT, part, content())
        PAGE.write_text(text)
    else:
        print("\n\n".join(content() for content in PARTS.values()))


def settings() -> str:
    """All groups: a heading, an introduction, and a table with a row for each setting."""
    return "\n\n".join(_groups())


def _groups() -> Iterator[str]:
    structs = get_type_hints(ServerSettings)
    everything = declared(ServerSettings)
    for group in dict.fromkeys(setting.group for setting in everything):
        rows = [_row(setting) for setting in everything if setting.group == group]
        yield f"### {TITLES[group]}"
        yield inspect.getdoc(structs[group]) or ""
        yield markdown_table(["names", "default", "allowed", "meaning"], rows)


def _row(setting: Declared) -> list[str]:
    option = setting.option
    names = [f'<a id="{option.name.lower()}"></a>`{option.name}`']
    names += [f"`{option.flag}`"] if option.flag else []
    names += [f"also `{name}`" for name in option.aliases]
    names += [f"deprecated: `{name}`" for name in option.old]
    default = "none" if setting.default is None and not option.default else _default(setting)
    return ["<br>".join(names), default, _allowed(setting), _meaning(setting)]


def _default(setting: Declared) -> str:
    if setting.default is None:
        return setting.option.default
    unit = setting.option.unit if setting.option.unit and not setting.is_size else ""
    return f"`{shown_value(setting, setting.default)}`" + (f" {unit}" if unit else "")


def _allowed(setting: Declared) -> str:
    if setting.is_size:
        return setting.allowed().partition(", or with a unit")[0] + ", or [with a unit](#how-a-value-is-found)"
    if not setting.choices:
        return setting.allowed()
    shown = []
    for choice in setting.choices:
        others = ", ".join(f"`{other}`" for other, meant in setting.option.synonyms if meant == choice)
        shown.append(f"`{choice}` (also {others})" if others else f"`{choice}`")
    return ", ".join(shown)


def _meaning(setting: Declared) -> str:
    option = setting.option
    sentences = [option.doc[0].upper() + option.doc[1:] + "."]
    if option.runtime_first:
        sentences.append("The runtime parameter beats the command line.")
    if option.drum:
        sentences.append("DRUM reads it too.")
    if option.never_empty:
        sentences.append(f"It is an error to set it without a {option.never_empty}.")
    if option.secret:
        sentences.append("A secret: it is never shown.")
    return " ".join(sentences)


def options() -> str:
    """Options of ``drum-litestar server`` with the variables that stand in for them, settings left out."""
    of_settings = {setting.option.flag for setting in declared(ServerSettings)}
    variables = dict(TEXTS) | {option: (name,) for option, name in FLAGS}
    rows = [
        [f"`{option}`", ", ".join(f"`{name}`" for name in names)]
        for option, names in variables.items()
        if option not in of_settings
    ]
    return markdown_table(["option", "environment variable"], rows)


PARTS: dict[str, Callable[[], str]] = {"settings": settings, "options": options}

if __name__ == "__main__":
    main()
