"""Text targets, and through their echo how CSV is read (contract, 3.11, 4.6, 4.8, 4.9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.cases import Case, Check, all_of, drum_json, error, told
from support.data import matrix_market, table
from support.wire import Answer, csv, get, post

MODELS = drum_json({"data": [{"created": 1735689600, "id": "gpt-x", "object": "model", "owned_by": "DataRobot"}],
                    "object": "list"})  # fmt: skip
NO_MODELS = error("get_supported_llm_models is supported only for TextGen models")
NO_EMBED = error("This model's embedding interface was called, but embed() is not implemented.")
MISSING = "prompt is missing: it is a text, a list of texts, a list of tokens (integers) or a list of lists of tokens"
PROMPT = drum_json({"error": {"code": None, "message": MISSING, "param": "prompt", "type": "invalid_request_error"}})
NO_CHAT = error("This model's chat interface was called, but chat() is not implemented.")


def read_as(names: list[str], *rows: list[Any], index: list[Any] | None = None) -> Check:
    """The frame's names, values and index as the hook saw them."""

    def check(answer: Answer, path: Path) -> None:
        seen = [json.loads(text) for text in answer.json()["predictions"]]
        assert [row["row"] for row in seen] == list(rows)
        assert all(row["names"] == names for row in seen)
        assert [row["index"] for row in seen] == (index or list(range(len(rows))))

    return check


def typed(*types: str) -> Check:
    def check(answer: Answer, path: Path) -> None:
        seen = json.loads(answer.json()["predictions"][0])["types"]
        assert seen == list(types)

    return check


def reads(name: str, body: bytes, check: Check) -> Case:
    return Case(name, csv(body), body=check)


READING = [
    reads("text and numbers", "p,n\né ☃,1\n".encode(), read_as(["p", "n"], ["é ☃", 1])),
    reads("missing words", b"a,b\nNA,1\nn/a,2\nnull,3\nNone,4\n,5\n", read_as(
        ["a", "b"], [None, 1], [None, 2], [None, 3], [None, 4], [None, 5])),
    reads("booleans", b"a,b\ntrue,1\nFALSE,2\n", all_of(read_as(["a", "b"], [True, 1], [False, 2]),
                                                       typed("bool", "int64"))),
    reads("leading zeros", b"a\n00123\n", read_as(["a"], [123])),
    reads("the same name twice", b"a,a,a\n1,2,3\n", read_as(["a", "a.1", "a.2"], [1, 2, 3])),
    reads("no name", b"a,,\n1,2,3\n", read_as(["a", "Unnamed: 1", "Unnamed: 2"], [1, 2, 3])),
    reads("spaces are kept", b" a , b\n x , y\n", read_as([" a ", " b"], [" x ", " y"])),
    reads("blank lines", b"a,b\n\n1,2\n\n", read_as(["a", "b"], [1, 2])),
    reads("blank lines of one column", b"a\n1\n\n2\n", read_as(["a"], [1.0], [None], [2.0])),
    reads("one field more than the header", b"a,b\n7,1,2\n8,3,4\n", read_as(["a", "b"], [1, 2], [3, 4], index=[7, 8])),
    reads("beyond 64 bits", b"a\n123456789012345678901234567890\n", read_as(["a"], [123456789012345678901234567890])),
    reads("64 bits unsigned", b"a\n18446744073709551615\n", all_of(read_as(["a"], [18446744073709551615]),
                                                                   typed("uint64"))),
    reads("quotes and line breaks", b'a,b\n"x,""y""\nz",1\n', read_as(["a", "b"], ['x,"y"\nz', 1])),
    reads("byte order mark", b"\xef\xbb\xbfa,b\n1,2\n", read_as(["a", "b"], [1, 2])),
    reads("last line without a break", b"a,b\n1,2", read_as(["a", "b"], [1, 2])),
    reads("old line ends", b"a,b\r1,2\r3,4\r", read_as(["a", "b"], [1, 2], [3, 4])),
    reads("short rows are filled", b"a,b\n1\n2,3\n", read_as(["a", "b"], [1, None], [2, 3.0])),
    Case("sparse", post("/predict/", matrix_market(table(2, ("a", "b"))), "text/mtx"),
         body=typed("Sparse[float64, 0.0]", "Sparse[float64, 0.0]")),
]  # fmt: skip

TEXT = [
    *READING,
    Case("one column of any name", told("pd.DataFrame({'other': ['x']})"), body=b'{"predictions":["x"]}'),
    Case("named column, extra output", told("pd.DataFrame({'e': [1], 'completion': ['x']})"),
         body=b'{"predictions":["x"],"extraModelOutput":{"columns":["e"],"index":[0],"data":[[1]]}}'),
    Case("several columns, none named", told("pd.DataFrame({'a': [1], 'b': ['x']})"), 500,
         error("\"['completion'] not found in axis\"")),
    Case("missing values", told("pd.DataFrame({'completion': ['x', None, float('nan')]})"),
         body=b'{"predictions":["x",null,null]}'),
    Case("no rows", csv(b"a,b\n"), body=b'{"predictions":[]}'),
    Case("models by runtime parameter", get("/models"), body=MODELS),
    Case("models by runtime parameter, v1", get("/v1/models"), body=MODELS),
    Case("chat is not implemented", post("/v1/chat/completions", b'{"messages":[]}', "application/json"), 404, NO_CHAT),
    Case("embeddings are not implemented", post("/v1/embeddings", b"{", "application/json"), 404, NO_EMBED,
         differs="OpenAI's routes"),
    Case("completions without a prompt", post("/v1/completions", b"{}", "application/json"), 400, PROMPT,
         differs="OpenAI's routes"),
]  # fmt: skip

QUOTED = [
    Case("quotes of the target name are removed", told("pd.DataFrame({'e': [1], 'completion': ['x']})"),
         body=b'{"predictions":["x"],"extraModelOutput":{"columns":["e"],"index":[0],"data":[[1]]}}'),
    Case("models are for text generation only", get("/models"), 404, NO_MODELS),
    Case("chat is not implemented", post("/chat/completions", b"{}", "application/json"), 404, NO_CHAT),
]  # fmt: skip

CASES = {
    "text": TEXT,
    "agenticworkflow": QUOTED,
    "vectordatabase": [
        Case("nested values", told("pd.DataFrame({'completion': [['a', 'é']]})"),
             body=b'{"predictions":[["a","\\u00e9"]]}'),
        Case("models", get("/models"), 404, NO_MODELS),
    ],
    "geopoint_hooks": [
        Case("a point", told("pd.DataFrame({'p': ['POINT (1 2)']})"), body=b'{"predictions":["POINT (1 2)"]}'),
        Case("extra output by Predictions", told("pd.DataFrame({'e': [1], 'Predictions': ['x']})"),
             body=b'{"predictions":["x"],"extraModelOutput":{"columns":["e"],"index":[0],"data":[[1]]}}'),
    ],
    "async_text": [
        Case("score is a coroutine", csv(b"a\nx\ny\n"), body=b'{"predictions":["the model: x","the model: y"]}'),
    ],
}  # fmt: skip
