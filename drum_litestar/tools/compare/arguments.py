"""The options of ``drum-litestar compare``, and the types of their values."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from drum_litestar.settings.address import Address, parse_address
from drum_litestar.tools.compare.messages import DEFAULT_HEADERS, DEFAULT_SKIPPED, REQUEST_ID

DESCRIPTION: Final = """\
Is it safe to switch from one running server to another? Replays requests to both and compares status, headers, bodies
and latencies; or runs a proxy in front of them that records, shadows, or shifts traffic step by step.
Exit codes: 0 pass, 1 fail, 2 the comparison could not be made."""
EPILOG: Final = """\
examples:
  send the bodies in a folder to both servers, and compare the answers byte for byte
    %(prog)s --baseline http://127.0.0.1:8080 --candidate http://127.0.0.1:8081 --corpus ./bodies

  record what clients send to the server of today, for a later replay
    %(prog)s --baseline http://127.0.0.1:8080 --record requests.jsonl --listen 127.0.0.1:8090

  shift the traffic step by step, as long as the candidate is as good
    %(prog)s --baseline http://127.0.0.1:8080 --candidate http://127.0.0.1:8081 --canary 1,10,50,100 --hold 10m
"""

STATE_FILE: Final = "drum-litestar-canary.json"
TIME_FORMAT: Final = ", such as 90s, 10m or 1h"

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all options, by group."""
    parser.add_argument("--baseline", required=True, type=url, metavar="URL", help="the server that runs today")
    parser.add_argument("--candidate", type=url, metavar="URL", help="the server that may replace it")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--corpus", type=Path, metavar="PATH", help="replay a recorded JSONL file or a folder of bodies")
    mode.add_argument("--record", type=Path, metavar="OUT.jsonl", help="record the requests that pass to the baseline")
    mode.add_argument(
        "--shadow", action="store_true", help="the baseline answers, the candidate gets copies of the requests"
    )
    mode.add_argument("--canary", type=shares, metavar="1,5,..,100", help="percentages for the candidate, in steps")
    _add_comparison(parser.add_argument_group("what counts as different"))
    _add_thresholds(parser.add_argument_group("thresholds"))
    _add_replay(parser.add_argument_group("replay"))
    _add_proxy(parser.add_argument_group("record, shadow and canary"))
    _add_canary(parser.add_argument_group("canary"))
    _add_reports(parser.add_argument_group("reports"))
    parser.add_argument(
        "--timeout", type=duration, default=60.0, metavar="TIME",
        help=f"longest wait for an answer{TIME_FORMAT} (default 60s)",
    )  # fmt: skip
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="trusted certificates for https, PEM (default: the system's)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress; log warnings only")
    parser.add_argument("--show-stacktrace", action="store_true", help="show the traceback of an error")


def _add_comparison(group: Any) -> None:
    group.add_argument(
        "--rtol", type=number, metavar="NUMBER",
        help="relative tolerance for numbers, such as 1e-6 (default: bodies byte for byte)",
    )  # fmt: skip
    group.add_argument(
        "--atol", type=number, metavar="NUMBER",
        help="absolute tolerance for numbers, such as 1e-9 (default: bodies byte for byte)",
    )  # fmt: skip
    group.add_argument(
        "--compare-headers", type=names, default=DEFAULT_HEADERS, metavar="NAMES",
        help=f"headers that must agree, a comma list (default {','.join(DEFAULT_HEADERS)})",
    )  # fmt: skip
    group.add_argument(
        "--ignore", action="append", default=[], metavar="PATH",
        help="part of a body that may differ, such as 'created' or '*.id'; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "--skip", type=patterns, default=DEFAULT_SKIPPED, metavar="PATHS",
        help=f"paths that are not compared, a comma list (default {','.join(DEFAULT_SKIPPED)})",
    )  # fmt: skip


def _add_thresholds(group: Any) -> None:
    group.add_argument(
        "--max-error-rate", type=fraction, default=0.001, metavar="SHARE",
        help="new errors by requests: less than this, such as 0.1%% or 0.001 (default 0.1%%)",
    )  # fmt: skip
    group.add_argument(
        "--max-p99-increase", type=fraction, default=0.2, metavar="SHARE",
        help="how much higher the candidate's p99 may be than the baseline's (default 20%%)",
    )  # fmt: skip
    group.add_argument(
        "--latency-slack", type=duration, default=0.0, metavar="TIME",
        help="added to the limit of p99, such as 5ms for models that answer in a few (default 0ms)",
    )  # fmt: skip
    group.add_argument(
        "--max-mismatches", type=at_least(0), default=0, metavar="N",
        help="answers that differ: at most this many (default 0)",
    )  # fmt: skip
    group.add_argument(
        "--min-requests", type=at_least(1), default=None, metavar="N",
        help="least requests for the verdict, or for a canary's step (default 1; canary 100)",
    )  # fmt: skip


def _add_replay(group: Any) -> None:
    count = {"type": at_least(1), "metavar": "N"}
    group.add_argument("--concurrency", **count, default=1, help="requests at once (default 1)")
    group.add_argument("--repeat", **count, default=1, help="replay the corpus this many times (default 1)")
    group.add_argument(
        "--warmup", type=at_least(0), default=3, metavar="N", help="requests that are not counted (default 3)"
    )
    group.add_argument(
        "--header", action="append", type=header, default=[], metavar="'NAME: VALUE'",
        help="sent with each request of the corpus, to both servers; may be repeated",
    )  # fmt: skip


def _add_proxy(group: Any) -> None:
    group.add_argument(
        "--listen", type=_named(parse_address), default=Address(port=8090), metavar="HOST:PORT",
        help="where clients connect (default 127.0.0.1:8090; port 0 takes a free one)",
    )  # fmt: skip
    group.add_argument(
        "--duration", type=duration, metavar="TIME",
        help=f"record, shadow: stop after this time{TIME_FORMAT} (default: never)",
    )  # fmt: skip
    count = {"type": at_least(1), "metavar": "N"}
    group.add_argument("--max-requests", **count, help="record, shadow: stop after this many requests (default: never)")
    group.add_argument("--queue-size", **count, default=1000, help="copies that may be queued (default 1000)")
    group.add_argument("--copies", **count, default=4, help="copies sent at once (default 4)")
    group.add_argument("--keep-secrets", action="store_true", help="also record headers with credentials")


def _add_canary(group: Any) -> None:
    group.add_argument(
        "--hold", type=duration, default=600.0, metavar="TIME",
        help=f"how long each step lasts{TIME_FORMAT} (default 10m)",
    )  # fmt: skip
    group.add_argument(
        "--state", type=Path, default=Path(STATE_FILE), metavar="FILE",
        help=f"file of the rollout's state, which a restart resumes from (default {STATE_FILE})",
    )  # fmt: skip
    group.add_argument("--restart", action="store_true", help="discard the state file, begin with the first step")
    group.add_argument(
        "--sticky-header", default=REQUEST_ID, metavar="NAME", help=f"header with the request id (default {REQUEST_ID})"
    )
    group.add_argument("--exit-when-done", action="store_true", help="exit when the rollout ends; else keep serving")


def _add_reports(group: Any) -> None:
    group.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    group.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML")
    group.add_argument("--html", type=Path, metavar="FILE", help="write the report as one HTML file with plots")


def _named(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Wrap ``read`` so that argparse shows the text of its ValueError."""

    def reader(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return reader


@_named
def url(text: str) -> str:
    """Parse ``http(s)://host[:port][/prefix]``; a final slash is removed."""
    split = urlsplit(text)
    _ = split.port  # raises ValueError when it is no port
    if split.scheme not in ("http", "https") or not split.hostname:
        raise ValueError(f"'{text}' is not a URL such as http://127.0.0.1:8080")
    if split.query or split.fragment or split.username:
        raise ValueError(f"'{text}': only scheme, host, port and a path prefix are expected")
    return text.rstrip("/")


@_named
def duration(text: str) -> float:
    """Seconds: ``500ms``, ``90s``, ``1h30m``, or a bare number of seconds."""
    found = _DURATION.findall(text)
    if found and "".join(amount + unit for amount, unit in found) == text:
        return sum(float(amount) * _UNITS[unit] for amount, unit in found)
    return _amount(text, text, "a duration such as 10m, 90s, 500ms or 1h30m")


@_named
def fraction(text: str) -> float:
    """``0.1%`` or ``0.001``."""
    value = _amount(text, text.removesuffix("%"), "a share such as 0.1% or 0.001")
    return value / 100 if text.endswith("%") else value


@_named
def number(text: str) -> float:
    """A tolerance."""
    return _amount(text, text, "a tolerance such as 1e-6")


def _amount(text: str, digits: str, expected: str) -> float:
    """Parse ``digits`` as a finite number of at least 0. Raises ValueError: ``text`` is not ``expected``."""
    try:
        value = float(digits)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"'{text}' is not {expected}")
    return value


@_named
def shares(text: str) -> tuple[float, ...]:
    """Growing percentages above 0, at most 100."""
    try:
        steps = tuple(float(step.strip().removesuffix("%")) for step in text.split(","))
    except ValueError:
        steps = ()
    if not steps or steps != tuple(sorted(set(steps))) or not (steps[0] > 0 and steps[-1] <= 100):
        raise ValueError(f"'{text}' is not a list of growing percentages such as 1,5,10,25,50,100")
    return steps


@_named
def header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError("a header has a name and a colon, as 'Authorization: Bearer abc'")
    return name.strip(), value.strip()


def names(text: str) -> tuple[str, ...]:
    """A comma list of header names; empty for none."""
    return tuple(name.strip().lower() for name in text.split(",") if name.strip())


def patterns(text: str) -> tuple[str, ...]:
    """A comma list of path patterns, without final slashes; empty for none."""
    return tuple(pattern.strip().rstrip("/") for pattern in text.split(",") if pattern.strip())


def at_least(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise ValueError(f"'{text}' is not a whole number of at least {least}")
        return value

    return _named(read)
