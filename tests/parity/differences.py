"""The deliberate differences from DRUM: the contract's section 8, as predicates. Nothing else may differ.

Each entry says when it applies (from the request and DRUM's answer) and what ours must then look like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.wire import Answer, Request


@dataclass(frozen=True)
class Pair:
    """One request, DRUM's answer and ours."""

    request: Request
    target_type: str
    drum: Answer
    ours: Answer

    @property
    def path(self) -> str:
        return self.request.target.split("?")[0]

    def drum_says(self, pattern: str) -> bool:
        text = self.drum.body.decode("utf-8", "replace")
        return re.search(pattern, text) is not None


@dataclass(frozen=True)
class Difference:
    topic: str
    why: str
    applies: Callable[[Pair], bool]
    holds: Callable[[Pair], bool]


def message_of(answer: Answer) -> str | None:
    """The ``message`` of a JSON object, or None."""
    try:
        value: Any = json.loads(answer.body)
    except ValueError:
        return None
    text = value.get("message") if isinstance(value, dict) else None
    return text if isinstance(text, str) else None


def allowed(answer: Answer) -> set[str]:
    return {method.strip() for method in (answer.header("allow") or "").split(",")} - {""}


def has_message(pair: Pair) -> bool:
    return message_of(pair.ours) is not None


def answers(status: int) -> Callable[[Pair], bool]:
    return lambda pair: pair.ours.status == status and has_message(pair)


def page_of(pair: Pair) -> bool:
    return pair.drum.status in (404, 405) and (pair.drum.header("content-type") or "").startswith("text/html")


def info_but(pair: Pair, *names: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both ``/info/`` bodies without ``names``."""
    left, right = json.loads(pair.drum.body), json.loads(pair.ours.body)
    return (
        {key: value for key, value in left.items() if key not in names},
        {key: value for key, value in right.items() if key not in names},
    )


def same_info(pair: Pair) -> bool:
    dropped = ("drumServer", "classLabels") if pair.target_type == "multilabel" else ("drumServer",)
    left, right = info_but(pair, *dropped)
    labels_given = pair.target_type != "multilabel" or isinstance(json.loads(pair.ours.body).get("classLabels"), list)
    return left == right and json.loads(pair.ours.body)["drumServer"] == "litestar" and labels_given


def nulls(pair: Pair) -> bool:
    """Ours is DRUM's text with every bare NaN and Infinity written as null."""
    text = re.sub(rb"(?<=[:\[, ])(-?Infinity|NaN)(?=[,\]} ])", b"null", pair.drum.body)
    return pair.ours.body == text and pair.ours.status == pair.drum.status


def without_payload(pair: Pair) -> bool:
    return (
        pair.ours.status == pair.drum.status
        and (message_of(pair.ours) or "").startswith("ERROR: Pandas failed to read input binary data")
        and (not pair.request.body or repr(pair.request.body)[2:-1][:200] not in (message_of(pair.ours) or ""))
    )


def one_more_violation(pair: Pair) -> bool:
    """Ours says what DRUM says, and that the types are wrong."""
    theirs = (message_of(pair.drum) or "").partition("[")[2] if pair.drum.status == 422 else "]"
    mine = message_of(pair.ours) or ""
    return "['Datatypes incorrect" in mine and mine.endswith(theirs)


def same_shape(left: Any, right: Any) -> bool:
    """DRUM's keys at every level, ours may have more."""
    if isinstance(left, dict):
        return isinstance(right, dict) and all(key in right and same_shape(left[key], right[key]) for key in left)
    return True


def same_stats(pair: Pair) -> bool:
    return pair.ours.status == 200 and same_shape(json.loads(pair.drum.body), json.loads(pair.ours.body))


def same_capabilities(pair: Pair) -> bool:
    """Ours names completions, too, which a text model answers by its ``score`` hook."""
    expected = json.loads(pair.drum.body)
    expected["supported_methods"]["completions"] = True
    return bool(json.loads(pair.ours.body) == expected)


def sent_id(pair: Pair) -> str:
    return next(value for name, value in pair.request.headers if name.lower() == "x-request-id")


UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
OTHER_SPELLING = re.compile(r"/ping|/health|/invocations/|(/v1)?/models/|(/v1)?/chat/completions/")
NOT_OFFERED = (
    "ERROR: get_supported_llm_models is supported only for TextGen models",
    "ERROR: This model's chat interface was called, but chat() is not implemented.",
    "ERROR: This model's chat interface was called, but chat is not supported.",
)
CHAT = re.compile(r"(/v1)?/chat/completions/?")

DIFFERENCES = (
    Difference(
        "Trailing slash",
        "both spellings answer directly; DRUM knows /invocations, /models and chat without a slash only",
        lambda pair: page_of(pair) and OTHER_SPELLING.fullmatch(pair.path) is not None,
        lambda pair: pair.ours.status not in (308, 404) or message_of(pair.ours) in NOT_OFFERED,
    ),
    Difference(
        "Trailing slash",
        "/ping is a spelling of /ping/ for OPTIONS too",
        lambda pair: pair.path == "/ping" and pair.request.method == "OPTIONS",
        lambda pair: pair.ours.status == pair.drum.status and pair.ours.body == b"",
    ),
    Difference(
        "Request id",
        "a value that is not 1 to 128 plain characters is replaced",
        lambda pair: re.fullmatch(r"[A-Za-z0-9._:/+=-]{1,128}", sent_id(pair)) is None,
        lambda pair: (
            (pair.ours.status, pair.ours.body) == (pair.drum.status, pair.drum.body)
            and UUID4.fullmatch(pair.ours.header("x_request_id") or "") is not None
        ),
    ),
    Difference(
        "our own routes",
        "probes and the stream route exist beside DRUM's",
        lambda pair: re.fullmatch(r"/(livez|readyz|startupz|metrics|predictionsStream)/?", pair.path) is not None,
        lambda pair: True,
    ),
    Difference(
        "OpenAI's routes",
        "completions of text generation are answered",
        lambda pair: re.fullmatch(r"(/v1)?/completions/?", pair.path) is not None and page_of(pair),
        lambda pair: (pair.target_type == "textgeneration" and pair.ours.status == 400) or has_message(pair),
    ),
    Difference(
        "404, 405",
        "same status and Allow, JSON instead of HTML",
        page_of,
        lambda pair: (
            pair.ours.status == pair.drum.status
            and allowed(pair.ours) == allowed(pair.drum)
            and (pair.request.method == "HEAD" or has_message(pair))
        ),
    ),
    Difference(
        "Rows in JSON",
        "application/json is read as the CSV file with the same cells",
        lambda pair: pair.drum.status == 422 and pair.drum_says("payload format `[Aa]pplication/[Jj][Ss][Oo][Nn]`"),
        lambda pair: (
            pair.ours.status == 200 or (message_of(pair.ours) or "").startswith("ERROR: JSON rows cannot be read: ")
        ),
    ),
    Difference(
        "Rows in Arrow or Parquet",
        "/capabilities/ lists what is read where pyarrow is installed",
        lambda pair: pair.request.target.startswith("/capabilities") and pair.drum.status == 200,
        lambda pair: (
            {
                name: version
                for name, version in pair.ours.json()["supported_payload_formats"].items()
                if version is None
            }
            == pair.drum.json()["supported_payload_formats"]
        ),
    ),
    Difference(
        "Rows in Arrow or Parquet",
        "a body that is none of the type it names cannot be read",
        lambda pair: pair.drum.status == 422 and pair.drum_says("payload format `application/vnd.apache."),
        lambda pair: pair.ours.status == 422 and (message_of(pair.ours) or "").endswith("it does not begin like one"),
    ),
    Difference(
        "Answers as CSV",
        "the same digits, for Accept: text/csv",
        lambda pair: ("Accept", "text/csv") in pair.request.headers and pair.drum.body.startswith(b'{"predictions":['),
        lambda pair: (
            pair.ours.header("content-type") == "text/csv; charset=utf-8"
            and pair.ours.body.decode().split() == ["Predictions", *pair.drum.body[16:-2].decode().split(",")]
        ),
    ),
    Difference(
        "Unsupported format",
        "the types that are read, beside DRUM's text",
        lambda pair: pair.drum.status == 422 and pair.drum_says("payload format `"),
        lambda pair: (
            (pair.ours.status, message_of(pair.ours)) == (422, message_of(pair.drum))
            and set(json.loads(pair.ours.body)) == {"accepted", "message"}
        ),
    ),
    Difference(
        "Chat hooks",
        "dicts and texts are answers and chunks",
        lambda pair: (
            CHAT.fullmatch(pair.path) is not None
            and pair.drum_says(r"ERROR: Expected response to be .*<class '(dict|str|list|list_iterator|generator)'>")
        ),
        lambda pair: (
            pair.ours.status == 200 and (b"chat.completion" in pair.ours.body or pair.ours.body.startswith(b"data: "))
        ),
    ),
    Difference(
        "Q-7",
        "the real status of a wrong media type",
        lambda pair: (
            pair.drum.status == 500 and pair.drum_says(r'^\{"message":"ERROR: 415 ') and page_of(pair) is False
        ),
        lambda pair: pair.ours.status in (415, 404) and has_message(pair),
    ),
    Difference(
        "Q-7",
        "the real status of an oversized form field",
        lambda pair: pair.drum.status == 500 and pair.drum_says(r'^\{"message":"ERROR: 413 '),
        answers(413),
    ),
    Difference(
        "Q-8",
        "the payload is never echoed",
        lambda pair: (message_of(pair.drum) or "").startswith("ERROR: Pandas failed to read input binary data"),
        without_payload,
    ),
    Difference(
        "Q-9",
        "score_unstructured of a text model is used, else 422",
        lambda pair: (
            pair.path.startswith(("/predictUnstructured", "/predictionsUnstructured"))
            and pair.target_type == "textgeneration"
            and pair.drum_says("'NoneType' object is not callable")
        ),
        lambda pair: pair.ours.status in (200, 422),
    ),
    Difference(
        "Q-10",
        "null instead of NaN and Infinity",
        lambda pair: pair.drum.status == 200 and pair.drum_says(r"[:\[, ]-?(NaN|Infinity)[,\]}]"),
        nulls,
    ),
    Difference(
        "Q-11",
        "an impossible status code is contained",
        lambda pair: pair.drum.status == 0,
        answers(500),
    ),
    Difference(
        "Q-16",
        "an error before the first chunk keeps its own status and text",
        lambda pair: (
            CHAT.fullmatch(pair.path) is not None
            and pair.drum_says(r"ERROR: Expected response to be .*<class 'generator'>")
        ),
        has_message,
    ),
    Difference(
        "Q-16",
        "an error after the first chunk is an event, without [DONE]",
        lambda pair: pair.drum.body.startswith(b"data: ") and b"data: [DONE]" not in pair.drum.body,
        lambda pair: (
            pair.ours.body.startswith(pair.drum.body)
            and pair.ours.body[len(pair.drum.body) :].startswith(b'data: {"error":')
            and b"[DONE]" not in pair.ours.body
        ),
    ),
    Difference(
        "Data of one line",
        "what a framework says of no rows is followed by a hint",
        lambda pair: pair.drum.status == 500 and pair.drum_says(r"ERROR: Failure when making predictions\."),
        lambda pair: (
            pair.ours.status == 500
            and (message_of(pair.ours) or "").startswith(f"{message_of(pair.drum)} The data has 0 rows, ")
        ),
    ),
    Difference(
        "Q-18",
        "frames of text, and boolean columns, have their own types in typeSchema checks",
        lambda pair: pair.target_type == "transform" and pair.drum.status in (200, 422) and pair.ours.status == 422,
        one_more_violation,
    ),
    Difference(
        "Q-18",
        "the number of y's rows is checked",
        lambda pair: pair.target_type == "transform" and (pair.drum.status, pair.ours.status) == (200, 500),
        lambda pair: message_of(pair.ours) == "ERROR: Target data has a different number of rows than transformed data",
    ),
    Difference(
        "Q-23",
        "whether chat is supported is said before the body is looked at",
        lambda pair: (
            CHAT.fullmatch(pair.path) is not None and pair.request.method == "POST" and pair.ours.status == 404
        ),
        lambda pair: (
            pair.drum.status in (400, 500, 404)
            and (message_of(pair.ours) or "").startswith("ERROR: This model's chat interface was called, but chat")
        ),
    ),
    Difference(
        "Q-24",
        "drumServer is litestar; multilabel models name their labels",
        lambda pair: pair.path.startswith("/info") and pair.drum.status == 200 and pair.request.method == "GET",
        same_info,
    ),
    Difference(
        "OpenAI's routes",
        "/capabilities/ names the completions of text generation, which DRUM does not have",
        lambda pair: (
            pair.path.startswith("/capabilities")
            and pair.target_type in ("textgeneration", "agenticworkflow")
            and pair.request.method == "GET"
        ),
        same_capabilities,
    ),
    Difference(
        "Q-24",
        "HEAD of /info/ has the length of our own body",
        lambda pair: pair.path.startswith(("/info", "/stats")) and pair.request.method == "HEAD",
        lambda pair: pair.ours.status == pair.drum.status and pair.ours.body == b"",
    ),
    Difference(
        "Q-5, Q-10",
        "/stats/ has DRUM's fields, of our own processes, and more",
        lambda pair: pair.path.startswith("/stats") and pair.drum.status == 200 and pair.request.method == "GET",
        same_stats,
    ),
)
