"""Mutated requests, from a seed: answered or refused, but never a crash."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from drum_litestar.tools.conformance.case import Case
from drum_litestar.tools.conformance.inference_answer import HEADER_LENGTH
from drum_litestar.tools.conformance.subject import Message, Subject
from drum_litestar.tools.conformance.verdicts import Level, require

SHOWN: Final = 3
ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 1e308, -0.0, 0.1, "", "x", "\0", "é\ud83d", "FP32",
    "BYTES", [], {}, [[]], [None], [1, [2]], {"name": "x"}, [0] * 1000,
)  # fmt: skip
ODD_BYTES: Final = (b"", b"\0", b"\xff\xff\xff\xff", b"{", b"}", b"]", b'"', b",", b"\\u", b"1e", b"-", b"NaN", b"\n\n")


def _change_bytes(chance: random.Random, body: bytes) -> bytes:
    """One to four places overwritten, removed, repeated or filled."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(body) + 1)
        end = min(len(body), at + chance.choice((1, 1, 2, 8, 40)))
        what = chance.randrange(5)
        if what == 0:
            body = body[:at] + chance.randbytes(end - at) + body[end:]
        elif what == 1:
            body = body[:at] + body[end:]
        elif what == 2:
            body = body[:end] + body[at:]
        elif what == 3:
            body = body[:at] + chance.choice(ODD_BYTES) + body[at:]
        else:
            body = body[:at]
    return body


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Containers and keys of all nodes."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)


def _change_structure(chance: random.Random, request: Any) -> Any:
    """One to three nodes replaced, removed, renamed or swapped."""
    for _ in range(chance.randint(1, 3)):
        places = list(_places(request))
        if not places:
            return request
        container, key = chance.choice(places)
        what = chance.randrange(4)
        if what == 0 or (what == 2 and isinstance(container, list)):
            container[key] = chance.choice(ODD_VALUES)
        elif what == 1:
            del container[key]
        elif what == 2:
            container[chance.choice(("parameters", "data", "shape", "x", "binary_data_size"))] = container.pop(key)
        else:
            other, place = chance.choice(places)
            container[key] = json.loads(json.dumps(other[place])) if _has(other, place) else None
    return request


def _has(container: Any, key: Any) -> bool:
    return key in container if isinstance(container, dict) else key < len(container)


def _bytes(subject: Subject, chance: random.Random) -> Message:
    message = subject.message()
    return message._replace(body=_change_bytes(chance, message.body))


def _structure(subject: Subject, chance: random.Random) -> Message:
    request = _change_structure(
        chance, subject.request(id="fuzz", outputs=[{"name": n} for n in subject.expected.outputs])
    )
    return Message(json.dumps(request).encode(), {"Content-Type": "application/json"})


def _binary(subject: Subject, chance: random.Random) -> Message:
    """The JSON's structure, its length, or bytes of the tensors."""
    subject.need_binary()
    message = subject.message(subject.binary_inputs())
    length = int(message.headers[HEADER_LENGTH])
    text, data = message.body[:length], message.body[length:]
    what = chance.randrange(3)
    if what == 0:
        text = json.dumps(_change_structure(chance, json.loads(text))).encode()
        length = len(text)
    elif what == 1:
        length = max(0, length + chance.randint(-20, 20))
    else:
        data = _change_bytes(chance, data)
    return message._replace(body=text + data, headers={**message.headers, HEADER_LENGTH: str(length)})


def _run(mutate: Callable[[Subject, random.Random], Message], subject: Subject, *, objects: bool = False) -> None:
    """Send the mutations. ``objects``: refusals must have the error object."""
    problems = []
    for number in range(subject.mutations):
        message = mutate(subject, random.Random(f"{subject.seed} {number}"))
        answer = subject.send(message)
        refused = 400 <= answer.status < 500
        if objects:
            problem = answer.error if answer.status >= 400 else ""
        else:
            problem = "" if refused or answer.status == 200 else f"{answer}"
            problem = problem or ("" if number % 10 else subject.alive())
        if problem:
            problems.append(f"mutation {number}: {problem}, of {message.body[:200]!r}")
    count = f"{len(problems)} of {subject.mutations} (seed {subject.seed})"
    require(not problems, f"{count}: {'; '.join(problems[:SHOWN])}")
    require(not subject.alive(), subject.alive())


def _objects(subject: Subject) -> None:
    for mutate in (_bytes, _structure):
        subject.need_json()
        _run(mutate, subject, objects=True)


CASES: Final = (
    Case("fuzz/error-objects", Level.MUST, "REST, Inference: a failure has an object with 'error'", _objects),
    *(
        Case(
            f"fuzz/{name}", Level.RECOMMENDED, "de facto: answered or 4xx, and alive afterwards", partial(_run, mutate)
        )
        for name, mutate in (("bytes", _bytes), ("structure", _structure), ("binary", _binary))
    ),
)
