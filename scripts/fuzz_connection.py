"""Fuzz the HTTP/1.1 protocol, guided by coverage: ``python scripts/fuzz_connection.py -max_total_time=600 [corpus]``.

Needs atheris (``pip install atheris``) beside what the tests need. What is looked for, and what the bytes mean, is in
``tests/support/hostile/fuzzing.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "tests")]

with atheris.instrument_imports(include=["drum_litestar.server.http"]):
    from drum_litestar.server.http import connection  # noqa: F401


def main() -> None:
    from support.hostile.fuzzing import new_server, play

    with new_server() as server:

        def one(data: bytes) -> None:
            play(server, data)

        atheris.Setup(sys.argv, one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
