from __future__ import annotations

import fcntl
import io
import logging
import os
import pty
import struct
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest

from drum_litestar.observability.logs.log_format import LIFECYCLE_LOGGER, TextFormatter
from drum_litestar.observability.logs.log_sink import LineSink
from drum_litestar.observability.logs.terminal import ERASE, Terminal


@pytest.fixture
def screen() -> Iterator[TextIO]:
    """A terminal of 20 columns."""
    keys, descriptor = pty.openpty()
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 20, 0, 0))
    with os.fdopen(descriptor, "w") as stream:
        yield stream
    os.close(keys)


def test_a_file_is_no_terminal() -> None:
    assert Terminal.behind(io.StringIO()) is None
    closed = io.StringIO()
    closed.close()
    assert Terminal.behind(closed) is None


@pytest.mark.parametrize(
    ("environ", "rewrites", "colours"),
    [
        ({"TERM": "xterm"}, True, True),
        ({}, True, True),
        ({"NO_COLOR": ""}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_what_a_terminal_shows(screen: TextIO, environ: dict[str, str], rewrites: bool, colours: bool) -> None:
    terminal = Terminal.behind(screen, environ)
    assert terminal is not None
    assert (terminal.rewrites, terminal.colours) == (rewrites, colours)
    assert terminal.fresh("x") == (f"{ERASE}x" if rewrites else "x")
    assert ("\x1b" in terminal.stress("x", good=True)) is colours
    assert (terminal.stress("x", good=True) != terminal.stress("x", good=False)) is colours


def test_a_status_is_cut_to_one_row(screen: TextIO) -> None:
    terminal = Terminal(screen)
    assert terminal.fitting("x" * 19) == "x" * 19
    assert terminal.fitting("x" * 20) == "x" * 16 + "..."


def test_lines_are_written_above_the_status() -> None:
    stream, other = io.StringIO(), io.StringIO()
    sink = LineSink(terminal=Terminal(stream))

    def written() -> str:
        assert sink.flush()
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return text

    sink.show_status("loading 1")
    assert written() == "loading 1"
    sink.put(stream, "a line")
    assert written() == f"{ERASE}a line\nloading 1"
    sink.put(other, "for a file")
    assert written() == f"{ERASE}loading 1"
    sink.show_status("loading 2")
    assert written() == f"{ERASE}loading 2"
    sink.show_status("")
    assert written() == ERASE
    sink.put(stream, "a line")
    assert written() == "a line\n"
    sink.show_status("loading 3")
    assert written() == "loading 3"
    sink.close()
    assert written() == ERASE
    sink.show_status("too late")
    assert written() == ""
    assert other.getvalue() == "for a file\n"


def test_no_status_without_a_terminal_that_can_rewrite_it() -> None:
    stream = io.StringIO()
    for terminal in (None, Terminal(stream, rewrites=False)):
        sink = LineSink(terminal=terminal)
        assert not sink.has_terminal
        sink.show_status("loading")
        sink.put(stream, "a line")
        assert sink.flush()
    assert stream.getvalue() == "a line\na line\n"


def lifecycle(level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    record = logging.LogRecord(LIFECYCLE_LOGGER, level, __file__, 1, "ready %s", ("\x1b[2J",), None)
    record.__dict__.update(extra)
    return record


def test_a_person_reads_plain_text() -> None:
    plain = TextFormatter(Terminal(io.StringIO(), rewrites=False, colours=False))
    assert plain.format(lifecycle()) == "ready \\x1b[2J"
    assert plain.format(lifecycle(block=["first\n", "  second"])) == "first\\n\n  second"
    coloured = TextFormatter(Terminal(io.StringIO()))
    assert coloured.format(lifecycle(block=["first", "second"])) == f"{ERASE}\x1b[1;32mfirst\x1b[0m\nsecond"
    assert coloured.format(lifecycle(logging.WARNING)) == f"{ERASE}\x1b[1;33mready \\x1b[2J\x1b[0m"
    assert TextFormatter().format(lifecycle(block=["first"])).endswith(f" INFO {LIFECYCLE_LOGGER}:  ready \\x1b[2J ")


def test_other_records_look_the_same_on_a_terminal() -> None:
    record = logging.LogRecord("drum", logging.WARNING, __file__, 1, "careful", (), None)
    assert TextFormatter(Terminal(io.StringIO())).format(record) == TextFormatter().format(record)
