from __future__ import annotations

import io
import re

from drum_litestar.tools.predict.progress_bar import ProgressBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_the_bar_and_is_left_clean() -> None:
    terminal = Terminal()
    bar = ProgressBar(200, terminal)
    bar.show(50, "50 rows")
    bar.show(200, "200 rows")
    bar.close()
    states = terminal.getvalue().split("\r\x1b[2K")
    assert re.fullmatch(r" 25% \[#{7}\.{23}\] 50 rows, \d+:\d\d left", states[1])
    assert states[2] == f"100% [{'#' * 30}] 200 rows"
    assert states[-1] == ""


def test_states_in_quick_succession_are_not_all_drawn() -> None:
    terminal = Terminal()
    bar = ProgressBar(10_000, terminal)
    for done in range(1000):
        bar.show(done, "")
    assert terminal.getvalue().count("\r") < 500


def test_without_a_terminal_only_notes_are_written() -> None:
    stream = io.StringIO()
    bar = ProgressBar(2, stream)
    bar.show(1, "1 row")
    bar.note("scored as one table")
    bar.close()
    assert stream.getvalue() == "drum-litestar: scored as one table\n"
