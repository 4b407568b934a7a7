"""Hooks that work, and hooks that fail in every way (contract, 3.4, 4.2, 4.4; section 8, Q-11)."""

from __future__ import annotations

from pathlib import Path

from support.cases import Case, any_json, cell, error, error_like, message, told
from support.wire import Answer, csv, upload

USER_ERROR = {"x-drum-user-http-error": "true", "content-type": "application/json"}
PLAIN_ERROR = {"x-drum-user-http-error": None, "content-type": "application/json"}


def score_failed(text: str) -> bytes:
    return error(f"Model 'score' hook failed to make predictions. Exception: {text}")


def returned(kind: str) -> bytes:
    return error(f"score must return a dataframe, but received <class '{kind}'>")


def server_error(answer: Answer, path: Path) -> None:
    any_json(answer, path)


def echo(expression: str) -> str:
    """The hook fails with what ``expression`` shows, so that the request can see it."""
    return f"fail(ValueError({expression}))"


SCORE = [
    Case("raises", told("fail(ValueError('boom \"q\"'))"), 500, score_failed("ValueError('boom \"q\"')"), PLAIN_ERROR),
    Case("raises without text", told("fail(KeyError())"), 500, score_failed("KeyError()")),
    Case("raises beyond ASCII", told("fail(ValueError('é/☃'))"), 500, score_failed("ValueError('é/☃')")),
    Case("stops an iteration", told("fail(StopIteration())"), 500, score_failed("StopIteration()")),
    Case("system exit", told("sys.exit(3)"), 500, server_error, differs="Q-11", fatal=True),
    Case("keyboard interrupt", told("fail(KeyboardInterrupt())"), 500, server_error, differs="Q-11", fatal=True),
    Case("user error", told("http_error('teapot', 418)"), 418, message("teapot"), USER_ERROR),
    Case("user error, defaults", told("http_error()"), 400, message("User's HTTP error in custom model"), USER_ERROR),
    Case("user error, status as text", told("http_error('gone', '404')"), 404, message("gone"), USER_ERROR),
    Case("user error with status 200", told("http_error('fine', 200)"), 200, message("fine"), USER_ERROR),
    Case("user error, impossible status", told("http_error('odd', 99)"), 500, server_error, differs="Q-11"),
    Case("user error beyond ASCII", told("http_error('Grüße', 409)"), 409, message("Grüße"), USER_ERROR),
    Case("returns None", told("(None)"), 500, returned("NoneType")),
    Case("returns a list", told("[1.0]"), 500, returned("list")),
    Case("returns an array", told("np.zeros(1)"), 500, returned("numpy.ndarray")),
    Case("returns a series", told("pd.Series([1.0])"), 500,
         error_like("ERROR: score must return a dataframe.*Series'>")),
    Case("prints", told("print('to stdout') or pd.DataFrame({'p': [1.0]})"), body=b'{"predictions":[1.0]}'),
    Case("reads stdin", told("input()"), 500, score_failed("EOFError('EOF when reading a line')")),
    Case("fewer rows than asked", told("pd.DataFrame({'p': [1.5]})", 3), body=b'{"predictions":[1.5]}'),
    Case("more rows than asked", told("pd.DataFrame({'p': [1, 2]})"), body=b'{"predictions":[1.0,2.0]}'),
    Case("no rows", told("pd.DataFrame({'p': []})"), body=b'{"predictions":[]}'),
    Case("no input rows", csv(b"do\n"), body=b'{"predictions":[]}'),
    Case("model reaches the hook", told(echo("model")), 500, score_failed("ValueError('the model')")),
    Case("two columns, none called Predictions", told("pd.DataFrame({'a': [1], 'b': [2]})"), 500,
         error("\"['Predictions'] not found in axis\"")),
    Case("extra output",
         told("pd.DataFrame({'e1': ['x/y', 'z'], 'Predictions': [0, 1], 'e2': [1.23456789012, None]})", 2),
         body=b'{"predictions":[0.0,1.0],"extraModelOutput":{"columns":["e1","e2"],"index":[0,1],'
              b'"data":[["x\\/y",1.2345678901],["z",null]]}}'),
    Case("index of extra output", told("pd.DataFrame({'Predictions': [1.0, 2.0], 'e': [5, 6]}, index=[10, 11])", 2),
         body=b'{"predictions":[1.0,2.0],"extraModelOutput":{"columns":["e"],"index":[10,11],"data":[[5],[6]]}}'),
    Case("nested extra output", told("pd.DataFrame({'Predictions': [1.0], 'e': [[1, {'k': 2}]], 'b': [True]})"),
         body=b'{"predictions":[1.0],"extraModelOutput":{"columns":["e","b"],"index":[0],"data":[[[1,{"k":2}],true]]}}'),
    Case("dates in extra output", told("pd.DataFrame({'Predictions': [1.0], 'e': pd.to_datetime(['2024-01-02'])})"),
         body=b'{"predictions":[1.0],"extraModelOutput":{"columns":["e"],"index":[0],"data":[[1704153600000]]}}'),
    Case("kwargs of a raw body", told(echo("sorted(kwargs)")), 500, score_failed(
        "ValueError(['binary_data', 'charset', 'mimetype', 'sparse_colnames', 'target_type'])")),
    Case("target type of a raw body", told(echo("kwargs['target_type'].value")), 500,
         score_failed("ValueError('regression')")),
    Case("media type and charset", csv("do\n" + cell(echo("kwargs['mimetype'], kwargs['charset']")) + "\n",
         content_type="text/csv; charset=latin-1"), 500, score_failed("ValueError('text/csv', 'latin-1')")),
    Case("no charset", told(echo("kwargs['mimetype'], kwargs['charset']")), 500,
         score_failed("ValueError('text/csv', None)")),
    Case("media type of an upload", upload("do\n" + cell(echo("kwargs['mimetype'], kwargs['charset']")) + "\n"), 500,
         score_failed("ValueError(None, None)")),
    Case("bytes of the data", csv("do\n" + cell(echo("kwargs['binary_data'][:3], kwargs['sparse_colnames']")) + "\n"),
         500, score_failed("ValueError(b'do\\n', None)")),
    Case("long error text", told("fail(ValueError('x' * 100000))"), 500,
         score_failed(f"ValueError('{'x' * 100_000}')")),
    Case("changes the working directory", told("os.chdir('/') or pd.DataFrame({'p': [1.0]})"),
         body=b'{"predictions":[1.0]}'),
]  # fmt: skip


def chained(**stages: str) -> bytes:
    """Semicolon-separated data with one expression for each named stage."""
    names = ";".join(["value", *stages])
    cells = ";".join(["1.5", *(cell(expression) for expression in stages.values())])
    return f"{names}\n{cells}\n".encode()


READ = "Model 'read_input_data' hook failed to read input data. Exception: "
TRANSFORM = "Model 'transform hook' failed to transform dataset. Exception: "
POST = "Model 'post_process' hook failed to post-process predictions. Exception: "
ONE_COLUMN = (
    "Regression, Text Generation, Agentic Workflow and anomaly predictions must contain only 1 column. "
    "Your predictions have 2 columns"
)


def chain(name: str, text: str, **stages: str) -> Case:
    return Case(name, csv(chained(**stages)), 500, error(text), PLAIN_ERROR)


CHAIN = [
    Case("all hooks", csv(chained()), body=b'{"predictions":[1.5]}'),
    Case("any format", csv(chained(), content_type="application/json"), body=b'{"predictions":[1.5]}'),
    Case("any format, upload", upload(chained(), "data.bin"), body=b'{"predictions":[1.5]}'),
    Case("empty body even so", csv(b""), 422,
         error("Samples should be provided as:   - a csv or mtx under `X` form-data param key.  - binary data")),
    Case("read_input_data receives bytes", csv(chained(read=echo("binary[:9]"))), 500,
         error(READ + "ValueError(b'value;rea')")),
    chain("read_input_data raises", READ + "ValueError('rid')", read="fail(ValueError('rid'))"),
    Case("read_input_data, user error", csv(chained(read="http_error('unreadable', 415)")), 415,
         message("unreadable"), USER_ERROR),
    chain("transform raises", TRANSFORM + "ValueError('t')", transform="fail(ValueError('t'))"),
    chain("transform returns an array", "transform must return a dataframe, but received <class 'numpy.ndarray'>",
          transform="np.zeros(1)"),
    chain("transform returns None", "transform must return a dataframe, but received <class 'NoneType'>",
          transform="(None)"),
    Case("transform, user error", csv(chained(transform="http_error('t', 422)")), 422, message("t"), USER_ERROR),
    Case("transform changes the data", csv(chained(transform="pd.DataFrame({'value': [2.5, 3]})")),
         body=b'{"predictions":[2.5,3.0]}'),
    chain("score raises", "Model 'score' hook failed to make predictions. Exception: KeyError('s')",
          score="fail(KeyError('s'))"),
    chain("post_process raises", POST + "KeyError('zz')", post="fail(KeyError('zz'))"),
    chain("post_process returns an array", "Output of post_process hook must be a dataframe, not a <class "
          "'numpy.ndarray'>", post="np.zeros((1, 1))"),
    Case("post_process, user error", csv(chained(post="http_error('p', 451)")), 451, message("p"), USER_ERROR),
    Case("post_process changes the numbers", csv(chained(post="predictions * 2")), body=b'{"predictions":[3.0]}'),
    chain("post_process adds a column", ONE_COLUMN, post="predictions.assign(extra=1.0)"),
    chain("post_process sees one column called Predictions", POST + "ValueError(['Predictions'])",
          post=echo("list(predictions.columns)")),
]  # fmt: skip

CASES = {
    "hooks_regression": SCORE,
    "hooks_chain": CHAIN,
    "score_without_kwargs": [
        Case("unexpected keyword", csv(b"a\n1\n"), 500, error_like(
            r"ERROR: Model 'score' hook failed to make predictions. Exception: TypeError\(\"score\(\) got an "
            r"unexpected keyword argument '\w+'\"\)")),
    ],
}  # fmt: skip
