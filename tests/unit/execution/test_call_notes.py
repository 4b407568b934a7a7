"""What a call's answer tells besides, where the console asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from drum_litestar.execution.invoke import invoke
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply, StreamHead, StreamReply, TargetType
from drum_litestar.predictors.steps import REPORTER, WHOLE_CALL, record_exception, report_chat, step


class Scripted:
    def __init__(self, answer: Callable[[], Reply | StreamReply]) -> None:
        self.answer = answer

    def load(self) -> ModelCard:
        return ModelCard(target_type=TargetType.REGRESSION)

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        return self.answer()

    def close(self) -> None: ...


def answered(answer: Callable[[], Reply | StreamReply], *, timed: bool, explained: bool = False) -> Reply | StreamReply:
    found = invoke(Scripted(answer), ModelCall(kind="predict", timed=timed, explained=explained))
    assert REPORTER.get() is None
    return found


def stepped() -> Reply:
    for _ in range(2):
        with step("parse"):
            pass
    report_chat("request", {})
    return Reply()


def failing() -> Reply:
    try:
        raise ValueError("broken")
    except ValueError as error:
        record_exception(error)
    return Reply(status=500)


def raising() -> Reply:
    raise ValueError("broken")


def test_a_timed_call_tells_its_steps() -> None:
    reply = answered(stepped, timed=True)
    assert isinstance(reply, Reply)
    assert reply.steps.keys() == {"parse", WHOLE_CALL}
    assert 0 <= reply.steps["parse"] <= reply.steps[WHOLE_CALL]
    plain = answered(stepped, timed=False)
    assert isinstance(plain, Reply)
    assert plain.steps == {}


def test_a_timed_stream_tells_its_steps_up_to_its_head() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"

    reply = answered(lambda: StreamReply(StreamHead(), chunks()), timed=True, explained=True)
    assert isinstance(reply, StreamReply)
    assert reply.head.steps.keys() == {WHOLE_CALL}


@pytest.mark.parametrize("answer", [failing, raising])
def test_an_explained_call_brings_its_traceback(answer: Callable[[], Reply]) -> None:
    for timed in (False, True):
        reply = answered(answer, timed=timed, explained=not timed)
        assert isinstance(reply, Reply)
        assert reply.status == 500
        assert ("ValueError: broken" in reply.traceback) is not timed
        assert bool(reply.steps) is timed
