from __future__ import annotations

import io
import logging
import threading

import pytest

from drum_litestar.observability.logs.log_sink import LineSink, SinkHandler
from drum_litestar.settings import masking


class StalledStream(io.StringIO):
    """A terminal that blocks writes until ``resume`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.stalled = threading.Event()
        self.resume = threading.Event()

    def write(self, text: str) -> int:
        self.stalled.set()
        self.resume.wait(60)
        return super().write(text)


def test_lines_arrive_in_order_from_each_thread() -> None:
    sink, stream = LineSink(), io.StringIO()

    def put(name: str) -> None:
        for i in range(500):
            sink.put(stream, f"{name} {i}")

    threads = [threading.Thread(target=put, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sink.flush()
    lines = stream.getvalue().splitlines()
    for name in "ab":
        assert [line for line in lines if line[0] == name] == [f"{name} {i}" for i in range(500)]
    assert sink.dropped == 0


def test_a_stalled_stream_blocks_no_thread_and_dropped_lines_are_reported() -> None:
    sink, stream = LineSink(limit=10), StalledStream()
    handler = SinkHandler(sink, stream)
    logger = logging.Logger("stalled")
    logger.addHandler(handler)
    logger.warning("first")
    assert stream.stalled.wait(60)
    for number in range(50):
        logger.warning("line %d", number)
    assert sink.dropped == 40
    stream.resume.set()
    assert sink.flush()
    logger.warning("after")
    assert sink.flush()
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["first", "line 0"]
    assert lines[-2:] == ["40 log lines were dropped, because they came faster than they could be written", "after"]
    assert len(lines) == 13


def test_close_writes_what_is_queued_and_later_lines_at_once() -> None:
    sink, stream = LineSink(), io.StringIO()
    sink.put(stream, "queued")
    assert sink.close()
    assert sink.close()
    sink.put(stream, "late")
    assert stream.getvalue() == "queued\nlate\n"


def test_close_gives_up_on_a_stalled_stream() -> None:
    sink, stream = LineSink(), StalledStream()
    sink.put(stream, "stuck")
    assert not sink.close(timeout=0.05)
    stream.resume.set()


def test_a_closed_stream_costs_lines_but_no_exception() -> None:
    sink, stream = LineSink(), io.StringIO()
    stream.close()
    sink.put(stream, "lost")
    assert sink.flush()
    assert sink.dropped == 1


def test_characters_that_the_stream_cannot_encode_are_escaped() -> None:
    raw = io.BytesIO()
    sink, stream = LineSink(), io.TextIOWrapper(raw, encoding="ascii")
    sink.put(stream, "é \ud800")
    assert sink.flush()
    assert raw.getvalue() == b"\\xe9 \\ud800\n"


def test_a_record_that_cannot_be_formatted_reports_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    sink, stream = LineSink(), io.StringIO()
    logger = logging.Logger("broken")
    logger.addHandler(SinkHandler(sink, stream))
    logger.warning("%d", "no number")
    logger.warning("fine")
    assert sink.flush()
    assert stream.getvalue() == "fine\n"
    assert "--- Logging error ---" in capsys.readouterr().err


def test_secrets_are_masked_also_after_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_process_values", ("sesame-open",))
    sink, stream = LineSink(), io.StringIO()
    sink.put(stream, "first sesame-open")
    assert sink.close()
    sink.put(stream, "last sesame-open, http://a:b@c")
    assert stream.getvalue() == "first *****\nlast *****, http://*****@c\n"
