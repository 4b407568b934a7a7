from __future__ import annotations

import functools
import io
import json
import threading

from drum_litestar.observability.logs.prints import MAX_LINE_LENGTH, LineStream, forwarded, json_print, text_line
from drum_litestar.request_context import request_id_var


def test_printed_lines_name_their_request() -> None:
    out = io.StringIO()
    stream = LineStream(out, functools.partial(text_line, worker=2))
    print("loading", file=stream)
    token = request_id_var.set("RID1")
    print("two", "words\nand \x1b[1m more", file=stream)
    request_id_var.reset(token)
    context = "{'request_id': 'RID1', 'worker': 2}"
    assert out.getvalue() == f"loading\ntwo words {context}\nand \\x1b[1m more {context}\n"


def test_each_threads_lines_stay_whole() -> None:
    out = io.StringIO()
    stream = LineStream(out, str)
    stream.write("main ")
    thread = threading.Thread(target=lambda: print("other", file=stream))
    thread.start()
    thread.join()
    stream.write("goes on\nunfinished")
    stream.flush()
    assert out.getvalue() == "other\nmain goes on\n"
    stream.drain()
    stream.drain()
    assert out.getvalue() == "other\nmain goes on\nunfinished\n"


def test_a_progress_bar_leaves_its_last_state() -> None:
    out = io.StringIO()
    print("10%\r50%\r100%\r", file=LineStream(out, str))
    assert out.getvalue() == "100%\n"


def test_an_endless_line_is_cut() -> None:
    out = io.StringIO()
    LineStream(out, str).write("x" * (MAX_LINE_LENGTH + 10))
    assert out.getvalue() == "x" * MAX_LINE_LENGTH + "\n"


def test_it_has_the_interface_of_a_text_stream() -> None:
    raw = io.BytesIO()
    stream = LineStream(io.TextIOWrapper(raw, encoding="utf-8"), str)
    stream.buffer.write(b"bytes")
    assert (stream.encoding, stream.errors, stream.isatty(), stream.writable()) == ("utf-8", "strict", False, True)
    stream.reconfigure(line_buffering=True)
    assert raw.getvalue() in (b"", b"bytes")


def test_a_printed_line_as_json() -> None:
    token = request_id_var.set("RID1")
    fields = json.loads(json_print("stdout", "hé\x00", 4))
    request_id_var.reset(token)
    assert fields.pop("timestamp")
    assert fields == {"level": "INFO", "logger": "stdout", "message": "hé\x00", "worker": 4, "request_id": "RID1"}


def test_forwarded_text_is_escaped() -> None:
    assert forwarded("stderr", "native \x1b[2J noise", 1, json_lines=False) == "native \\x1b[2J noise"


def test_forwarded_json_is_wrapped_unless_it_is_the_workers_own() -> None:
    own = json_print("stdout", "mine", 1)
    assert forwarded("stdout", own, 1, json_lines=True) == own
    for raw in ('{"timestamp": "no object', "plain", '{"other":1}'):
        fields = json.loads(forwarded("stderr", raw, 7, json_lines=True))
        assert (fields["logger"], fields["message"], fields["worker"]) == ("stderr", raw, 7)
