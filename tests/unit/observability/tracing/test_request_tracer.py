"""Spans as a real OTLP/HTTP collector receives them, from both processes' halves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import msgspec
import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.b3 import B3MultiFormat
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from drum_litestar.errors import RequestError, UpstreamError
from drum_litestar.observability.metrics.execution_telemetry import ExecutorTelemetry
from drum_litestar.observability.tracing import spans
from drum_litestar.observability.tracing.context_carrier import context_of
from drum_litestar.observability.tracing.request_tracer import RawHeaders, Tracing, upstream_answered
from drum_litestar.observability.tracing.spans import TRACER
from drum_litestar.observability.tracing.traced_predictor import traced
from drum_litestar.predictors.protocol import (
    CallKind,
    ModelCall,
    ModelCard,
    Predictor,
    Reply,
    StreamHead,
    StreamReply,
    TargetType,
    batch_predictor,
)
from drum_litestar.predictors.steps import WHOLE_CALL, CallNotes, record_exception, report_chat, step
from support.servers.otlp import Collector

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = (b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())
NOT_SAMPLED = (b"traceparent", f"00-{TRACE}-{PARENT}-00".encode())
CONSUMER = ((b"x-datarobot-consumer-id", b"cid"), (b"x-datarobot-consumer-type", b"ct"))

Answer = Callable[[ModelCall], Reply | StreamReply]


class ScriptedPredictor:
    """A predictor that does what the test says."""

    def __init__(self, answer: Answer) -> None:
        self.handle = answer
        self.closed = False

    def load(self) -> ModelCard:
        return ModelCard(target_type=TargetType.REGRESSION)

    def close(self) -> None:
        self.closed = True


class ScriptedBatchPredictor(ScriptedPredictor):
    batching = True

    def handle_batch(self, calls: Sequence[ModelCall]) -> list[Reply] | None:
        with step("model"):
            record_exception(ValueError("of a call that ran singly"))
            return [Reply() for _ in calls]


class Processes:
    """The tracing of an HTTP process and of a worker, each with its own provider, in this process."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.steps = False
        self.providers = [self._provider(), self._provider()]
        self.front = self.tracing()

    def _provider(self) -> TracerProvider:
        provider = TracerProvider(shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{self.collector.endpoint}/v1/traces")
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        return provider

    def tracing(self, **options: Any) -> Tracing:
        """Of the HTTP process."""
        return Tracing(self.providers[0], **options)

    def trace_steps(self) -> None:
        self.steps = True
        self.front = self.tracing(steps=True)

    def traced(self, predictor: Predictor) -> Predictor:
        return traced(predictor, self.providers[1].get_tracer(TRACER), reports=True, steps=self.steps)

    def request(
        self, answer: Answer, name: str = "drum.invocations", *, headers: RawHeaders = (), **call: Any
    ) -> Reply | StreamReply:
        """Send one request through both; what passes between the processes is encoded as there."""
        kind: CallKind = "chat" if name == "drum.chat.completions" else "predict"
        with self.front.request_span(name, headers) as request_span:
            sent = msgspec.msgpack.encode(ModelCall(kind=kind, trace=request_span.carrier, **call))
            reply = self.traced(ScriptedPredictor(answer)).handle(msgspec.msgpack.decode(sent, type=ModelCall))
            head: Reply | StreamHead
            if isinstance(reply, StreamReply):
                head = msgspec.msgpack.decode(msgspec.msgpack.encode(reply.head), type=StreamHead)
            else:
                head = msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=Reply)
            request_span.answered(head)
        return reply

    def close(self) -> None:
        for provider in self.providers:
            provider.shutdown()


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Collector() as collector:
        made = Processes(collector)
        yield made
        made.close()


def hook_span(name: str) -> None:
    """Set an attribute on the current span, as a hook does."""
    current = trace.get_current_span()
    assert current.is_recording()
    current.set_attribute("seen.by", name)


STEPS = ("parse", "model", "serialize")


def test_one_span_a_request_has_the_durations_of_its_steps(processes: Processes) -> None:
    def answer(call: ModelCall) -> Reply:
        for name in STEPS:
            with step(name):
                current = trace.get_current_span().get_span_context()
                assert f"{current.trace_id:032x}" == TRACE
        with step("model"):  # once more
            return Reply()

    processes.request(answer, headers=[TRACEPARENT, *CONSUMER, (b"host", b"x")])
    (request,) = processes.collector.spans
    assert (request["trace_id"], request["parent"]) == (TRACE, PARENT)
    assert (request["kind"], request["tracer"], request["status"]) == ("internal", TRACER, ("unset", ""))
    durations = {request["attributes"].pop(f"drum.{name}.duration_ms") for name in STEPS}
    assert 0 <= sum(durations) <= (request["end"] - request["start"]) / 1e6
    assert request["attributes"] == {"gen_ai.request.consumer_id": "cid", "gen_ai.request.consumer_type": "ct"}


@pytest.mark.parametrize("with_spans", [False, True])
@pytest.mark.parametrize("headers", [[TRACEPARENT], [NOT_SAMPLED]])
def test_notes_on_a_call_are_taken_whether_it_is_sampled_or_not(
    processes: Processes, headers: list[tuple[bytes, bytes]], with_spans: bool
) -> None:
    def answer(call: ModelCall) -> Reply:
        with step("parse"):
            pass
        record_exception(ValueError("broken"))
        return Reply(status=500)

    if with_spans:
        processes.trace_steps()
    notes = CallNotes(times=True, traceback=True)
    with notes.taken():
        processes.request(answer, headers=headers)
    assert notes.seconds.keys() == {"parse", WHOLE_CALL}
    assert notes.traceback == "ValueError: broken"


def test_steps_nest_under_the_request_if_they_are_asked_for(processes: Processes) -> None:
    def answer(call: ModelCall) -> Reply:
        for name in STEPS:
            with step(name):
                hook_span(name)
        with step("failing"):
            raise ValueError("boom")

    processes.trace_steps()
    with pytest.raises(ValueError, match="boom"):
        processes.request(answer, headers=[TRACEPARENT])
    collector = processes.collector
    assert collector.names() == [*STEPS, "failing", "drum.invocations"]
    request = collector.span("drum.invocations")
    for name in STEPS:
        child = collector.span(name)
        assert (child["trace_id"], child["parent"]) == (TRACE, request["span_id"])
        assert child["attributes"] == {"seen.by": name}
    failing = collector.span("failing")
    assert (failing["status"], failing["events"][0][0]) == (("error", "ValueError: boom"), "exception")
    assert not trace.get_current_span().is_recording()


def test_a_request_without_context_starts_a_trace(processes: Processes) -> None:
    processes.request(lambda call: Reply())
    processes.request(lambda call: Reply())
    first, second = processes.collector.spans
    assert first["parent"] == second["parent"] == ""
    assert first["trace_id"] != second["trace_id"]


@pytest.mark.parametrize("steps", [False, True])
def test_the_wait_in_the_queue(processes: Processes, steps: bool) -> None:
    if steps:
        processes.trace_steps()
    observer = ExecutorTelemetry(tracing=processes.front)
    with processes.front.request_span("drum.transform", [TRACEPARENT]) as request_span:
        observer.queue_wait(0.25, request_span.carrier)
        observer.queue_wait(0.25, {})
    observer.queue_wait(0.5, request_span.carrier)  # its request has been answered
    request = processes.collector.span("drum.transform")
    assert request["attributes"] == {"drum.queue.duration_ms": 250.0}
    if not steps:
        assert processes.collector.names() == ["drum.transform"]
        return
    queue = processes.collector.span("queue")
    assert queue["parent"] == request["span_id"]
    assert queue["end"] - queue["start"] == 250_000_000


def test_an_exception_in_the_model_is_an_error_with_its_event(processes: Processes) -> None:
    def answer(call: ModelCall) -> Reply:
        try:
            raise ValueError("boom \ud800")
        except ValueError as error:
            record_exception(error)
        return Reply(status=418, body=b'{"message":"teapot"}')

    processes.request(answer)
    request = processes.collector.span("drum.invocations")
    assert request["status"] == ("error", "ValueError: boom ?")
    ((name, attributes),) = request["events"]
    assert name == "exception"
    assert attributes.pop("exception.stacktrace").startswith("Traceback (most recent call last):")
    assert attributes == {
        "exception.type": "ValueError",
        "exception.message": "boom ?",
        "exception.escaped": "False",
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "unset"), (404, "unset"), (422, "unset"), (418, "unset"), (400, "error"), (500, "error"), (503, "error")],
)
def test_error_answers_without_a_reported_exception(processes: Processes, status: int, expected: str) -> None:
    processes.request(lambda call: Reply(status=status, body=b'{"message":"ERROR: x"}\n'))
    assert processes.collector.spans[-1]["status"] == (
        expected,
        '{"message":"ERROR: x"}' if expected == "error" else "",
    )


def test_an_error_of_the_http_process_has_no_event(processes: Processes) -> None:
    with processes.front.request_span("drum.directAccess", ()) as request_span:
        request_span.fail("no LLM")
    request = processes.collector.span("drum.directAccess")
    assert (request["status"], request["events"]) == (("error", "no LLM"), [])


def test_an_answer_that_breaks_off_is_an_error_with_its_event(processes: Processes) -> None:
    with suppress(RequestError), processes.front.request_span("drum.invocations", ()):
        raise RequestError("The model failed while streaming")
    request = processes.collector.span("drum.invocations")
    assert request["status"] == ("error", "RequestError: The model failed while streaming")
    assert request["events"][0][0] == "exception"


def test_an_upstream_gets_the_context_of_its_own_span(processes: Processes) -> None:
    sent = [{"traceparent": "the client's", "tracestate": "its=own", "x": "1"} for _ in range(3)]
    with processes.front.request_span("drum.directAccess", [TRACEPARENT]):
        for status, headers in zip((200, 502), sent, strict=False):
            with processes.front.upstream_call("POST", "http://llm/v1", headers) as client:
                upstream_answered(client, status)
        with pytest.raises(UpstreamError), processes.front.upstream_call("GET", "http://llm/v1", sent[2]):
            raise UpstreamError("The LLM server cannot be reached")
    answered, failed, unreachable, request = processes.collector.spans
    assert request["name"] == "drum.directAccess"
    assert {span["parent"] for span in (answered, failed, unreachable)} == {request["span_id"]}
    assert [headers["traceparent"].split("-")[2] for headers in sent] == [
        span["span_id"] for span in (answered, failed, unreachable)
    ]
    assert (answered["name"], answered["kind"], answered["status"][0]) == ("POST", "client", "unset")
    assert answered["attributes"] == {"http.method": "POST", "http.url": "http://llm/v1", "http.status_code": 200}
    assert (failed["status"][0], unreachable["status"][0]) == ("error", "unset")  # the caller reports errors
    assert unreachable["events"] == []
    assert {"tracestate" in headers for headers in sent} == {False}


# Chat


def asked() -> None:
    """The handler has read the request."""
    report_chat("request", {"model": "gpt", "messages": [{"role": "user", "content": "hi"}]})


def completion() -> Reply:
    asked()
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
    report_chat("answer", {"model": "mm", "choices": [choice]})
    return Reply(body=b"{}")


def test_chat_attributes_are_on_the_requests_span(processes: Processes) -> None:
    processes.request(lambda call: completion(), "drum.chat.completions", headers=CONSUMER)
    attributes = processes.collector.span("drum.chat.completions")["attributes"]
    assert attributes == {
        "gen_ai.request.consumer_id": "cid",
        "gen_ai.request.consumer_type": "ct",
        "gen_ai.request.model": "gpt",
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "hi",
        "gen_ai.prompt": "hi",
        "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]',
        "gen_ai.response.model": "mm",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "hello",
        "gen_ai.completion": "hello",
        "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "hello"}], '
        '"finish_reason": "stop"}]',
    }


def chunk(text: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    report_chat("chunk", {"model": "mm", "choices": [choice]})
    return text.encode()


def streaming(chunks: Callable[[], Iterator[bytes]]) -> Answer:
    def answer(call: ModelCall) -> StreamReply:
        asked()
        return StreamReply(StreamHead(), chunks())

    return answer


def test_a_streams_span_lives_as_long_as_the_stream(processes: Processes) -> None:
    def chunks() -> Iterator[bytes]:
        yield chunk("hel")
        hook_span("generator")
        yield chunk("lo", "stop")
        yield b"data: [DONE]\n\n"

    reply = processes.request(streaming(chunks), "drum.chat.completions")
    collector = processes.collector
    assert collector.names() == ["drum.chat.completions"]  # ended with the head, as DRUM's does
    parent = collector.span("drum.chat.completions")
    assert parent["attributes"]["gen_ai.prompt"] == "hi"
    assert "gen_ai.completion" not in parent["attributes"]

    assert isinstance(reply, StreamReply)
    assert len(list(reply.chunks)) == 3
    reply.close()
    stream = collector.span("drum.chat.completions.stream")
    assert stream["parent"] == parent["span_id"]
    assert stream["attributes"]["gen_ai.completion"] == "hello"
    assert stream["attributes"]["seen.by"] == "generator"
    assert stream["status"] == ("unset", "")
    assert not trace.get_current_span().is_recording()


def test_a_stream_that_breaks_keeps_its_attributes(processes: Processes) -> None:
    def chunks() -> Iterator[bytes]:
        yield chunk("hel")
        raise ValueError("mid")

    reply = processes.request(streaming(chunks), "drum.chat.completions")
    assert isinstance(reply, StreamReply)
    with pytest.raises(ValueError, match="mid"):
        list(reply.chunks)
    stream = processes.collector.span("drum.chat.completions.stream")
    assert stream["status"] == ("error", "ValueError: mid")
    assert stream["attributes"]["gen_ai.completion"] == "hel"
    assert stream["events"][0][0] == "exception"


def test_a_stream_whose_error_became_an_event_is_an_error(processes: Processes) -> None:
    def chunks() -> Iterator[bytes]:
        yield chunk("hel")
        record_exception(ValueError("mid"))
        yield b"an error event"

    reply = processes.request(streaming(chunks), "drum.chat.completions")
    assert isinstance(reply, StreamReply)
    list(reply.chunks)
    assert processes.collector.span("drum.chat.completions.stream")["status"] == ("error", "ValueError: mid")


def test_a_client_that_leaves_ends_the_stream(processes: Processes) -> None:
    ended = []

    def chunks() -> Iterator[bytes]:
        try:
            yield chunk("hel")
            yield chunk("lo")
        finally:
            ended.append(True)

    reply = processes.request(streaming(chunks), "drum.chat.completions")
    assert isinstance(reply, StreamReply)
    next(iter(reply.chunks))
    reply.close()
    assert ended == [True]
    stream = processes.collector.span("drum.chat.completions.stream")
    assert (stream["status"], stream["attributes"]["gen_ai.completion"]) == (("unset", ""), "hel")


def test_a_chat_of_a_wrong_shape_costs_attributes_and_no_answer(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    def chunks() -> Iterator[bytes]:
        for index in (0, "first"):  # which cannot be put in order
            report_chat("chunk", {"choices": [{"index": index, "delta": {"content": "x"}}]})
            yield b"x"

    reply = processes.request(streaming(chunks), "drum.chat.completions")
    assert isinstance(reply, StreamReply)
    assert list(reply.chunks) == [b"x", b"x"]
    assert processes.collector.span("drum.chat.completions.stream")["attributes"] == {}
    assert [record.getMessage() for record in caplog.records] == ["Attributes of a chat could not be read"]


# Batches, sampling, propagators, tracing switched off


def test_each_request_of_a_batch_has_the_durations_of_all(processes: Processes) -> None:
    """And only its own errors."""
    predictor = batch_predictor(processes.traced(ScriptedBatchPredictor(lambda call: Reply())))
    assert predictor is not None
    carriers = [{"traceparent": f"00-{TRACE}-{PARENT}-{flags}"} for flags in ("00", "01", "01")]
    calls = [ModelCall(kind="predict", trace=carrier) for carrier in (*carriers, {})]
    replies = predictor.handle_batch(calls)
    assert replies is not None
    unsampled, first, second, without = (reply.span for reply in replies)
    assert unsampled is without is None
    assert first is not None
    assert first == second
    assert first.attributes.keys() == {"drum.batch.calls", "drum.model.duration_ms"}
    assert (first.error, first.exception) == (None, None)


def test_a_batch_links_to_all_its_requests(processes: Processes) -> None:
    processes.trace_steps()
    predictor = batch_predictor(processes.traced(ScriptedBatchPredictor(lambda call: Reply())))
    assert predictor is not None
    with (
        processes.front.request_span("drum.invocations", [TRACEPARENT]) as first,
        processes.front.request_span("drum.invocations", ()) as second,
    ):
        carriers: list[dict[str, str]] = [first.carrier, second.carrier, {}]
        calls = [ModelCall(kind="predict", trace=carrier) for carrier in carriers]
        assert len(predictor.handle_batch(calls) or ()) == 3
    batch = processes.collector.span("batch")
    assert batch["trace_id"] == TRACE
    assert batch["attributes"] == {"drum.batch.calls": 3}
    assert [link["trace_id"] for link in batch["links"]] == [f"{second.span.get_span_context().trace_id:032x}"]
    assert processes.collector.span("model")["parent"] == batch["span_id"]
    assert batch_predictor(processes.traced(ScriptedPredictor(lambda call: Reply()))) is None


def test_a_request_that_is_not_sampled_is_not_reported(processes: Processes) -> None:
    front = Tracing(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    processes.front = front
    reply = processes.request(lambda call: completion(), "drum.chat.completions")
    assert isinstance(reply, Reply)
    assert reply.span is None
    assert processes.collector.spans == []


def test_hooks_of_a_request_that_is_not_sampled_see_its_context_everywhere(processes: Processes) -> None:
    """Otherwise a hook's span would be a root, and sampled."""
    unsampled = f"00-{TRACE}-{PARENT}-00"
    seen = []

    def look() -> None:
        own = trace.get_current_span().get_span_context()
        seen.append((f"{own.trace_id:032x}", own.trace_flags.sampled))

    def chunks() -> Iterator[bytes]:
        try:
            for _ in range(2):
                look()
                yield b"x"
        finally:
            look()

    def stream(call: ModelCall) -> StreamReply:
        look()
        return StreamReply(StreamHead(), chunks())

    class Batching(ScriptedBatchPredictor):
        def handle_batch(self, calls: Sequence[ModelCall]) -> list[Reply] | None:
            look()
            return [Reply() for _ in calls]

    call = ModelCall(kind="predict", trace={"traceparent": unsampled})
    predictor = batch_predictor(processes.traced(Batching(stream)))
    assert predictor is not None
    reply = predictor.handle(call)
    assert isinstance(reply, StreamReply)
    assert next(iter(reply.chunks)) == b"x"
    reply.close()
    assert predictor.handle_batch([call] * 2) == [Reply()] * 2
    assert seen == [(TRACE, False)] * 4
    assert processes.collector.spans == []


def test_b3_when_it_is_configured(processes: Processes) -> None:
    b3 = B3MultiFormat()
    processes.steps, processes.front = True, processes.tracing(propagator=b3)
    headers = [(b"x-b3-traceid", TRACE.encode()), (b"x-b3-spanid", PARENT.encode()), (b"x-b3-sampled", b"1")]

    def answer(call: ModelCall) -> Reply:
        assert call.trace["traceparent"].startswith(f"00-{TRACE}")  # between the processes it is always W3C's
        with step("model"):
            return Reply()

    processes.request(answer, headers=headers)
    request = processes.collector.span("drum.invocations")
    assert (request["trace_id"], request["parent"]) == (TRACE, PARENT)
    assert processes.collector.span("model")["parent"] == request["span_id"]


def test_without_tracing_the_clients_context_reaches_the_hooks() -> None:
    """For a provider that only custom.py sets up."""
    seen = []

    def look(call: ModelCall) -> Reply:
        seen.append(trace.get_current_span().get_span_context().trace_id)
        with step("model"):
            record_exception(ValueError())
        return Reply()

    predictor = traced(ScriptedPredictor(look), trace.NoOpTracer(), reports=False, steps=False)
    carriers: list[dict[str, str]] = [{}, {"traceparent": TRACEPARENT[1].decode()}, {"traceparent": "nonsense"}]
    for carrier in carriers:
        assert predictor.handle(ModelCall(kind="predict", trace=carrier)) == Reply()
    assert seen == [0, int(TRACE, 16), 0]
    headers = {"traceparent": "the client's"}
    with Tracing().upstream_call("GET", "http://llm/v1", headers) as client:
        upstream_answered(client, 500)
    assert headers == {"traceparent": "the client's"}


@pytest.mark.parametrize("sent", [{}, {"baggage": "a=1"}, {"tracestate": "its=own"}])
def test_what_goes_to_the_worker_is_what_the_propagators_write(processes: Processes, sent: dict[str, str]) -> None:
    headers = [TRACEPARENT, *((key.encode(), value.encode()) for key, value in sent.items())]
    with processes.front.request_span("drum.invocations", headers) as request_span:
        written: dict[str, str] = {}
        propagate.inject(written)
        assert request_span.carrier == written
        assert written.keys() == {"traceparent", *sent}
    read, expected = context_of(written), propagate.extract(written, Context())
    for context in (read, expected):
        assert trace.get_current_span(context).get_span_context().is_remote
    assert trace.get_current_span(read).get_span_context() == trace.get_current_span(expected).get_span_context()
    assert baggage.get_all(read) == baggage.get_all(expected)


class Failing(SpanProcessor):  # type: ignore[misc]
    """As a hook may add one."""

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        if span.name != "unharmed":
            raise RuntimeError("no room")

    def on_end(self, span: Any) -> None:
        raise RuntimeError("no room")


def test_a_processor_that_raises_costs_spans_and_no_request(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(call: ModelCall) -> Reply:
        with step("model"):
            return Reply()

    spans.warn_once.cache_clear()
    processes.trace_steps()
    for provider in processes.providers:
        provider.add_span_processor(Failing())
    for name in ("lost", "unharmed"):
        with processes.front.request_span(name, [TRACEPARENT]) as request_span:
            predictor = processes.traced(ScriptedPredictor(answer))
            assert isinstance(predictor.handle(ModelCall(kind="predict", trace=request_span.carrier)), Reply)
            assert request_span.carrier["traceparent"].startswith(f"00-{TRACE}")
    assert processes.collector.names() == ["unharmed"], "the processor before it has it all the same"
    (record,) = [record for record in caplog.records if record.name == "drum.otel"]
    assert record.getMessage() == "A span processor fails; spans may be lost. RuntimeError is reported once."


def test_a_request_that_the_closing_event_loop_drops_is_ended_quietly(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    async def served() -> None:
        with processes.front.request_span("drum.invocations", ()):
            await asyncio.get_running_loop().create_future()

    async def begin() -> Any:
        task = served()
        copy_context().run(task.send, None)
        return task

    asyncio.run(begin()).close()  # in another context
    assert processes.collector.span("drum.invocations")["status"] == ("unset", "")
    assert caplog.records == []


def test_load_and_close_reach_the_wrapped_predictor(processes: Processes) -> None:
    inner = ScriptedPredictor(lambda call: Reply())
    predictor = processes.traced(inner)
    assert predictor.load().target_type is TargetType.REGRESSION
    predictor.close()
    assert inner.closed
