"""Spans as a real OTLP/HTTP collector receives them, from both processes' halves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.b3 import B3MultiFormat
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from drum_litestar.errors import BadRequestError, QueueTimeoutError, UnprocessableError, UpstreamError
from drum_litestar.execution.counters import Counters
from drum_litestar.observability.bare import encoder
from drum_litestar.observability.bare.tracer import SpanProvider
from drum_litestar.observability.metrics.execution_telemetry import ExecutorTelemetry
from drum_litestar.observability.tracing.request_tracer import TRACER, RawHeaders, Tracing, upstream_answered
from drum_litestar.observability.tracing.traced_predictor import traced
from drum_litestar.predictors.protocol import (
    BatchPredictor,
    CallKind,
    ModelCall,
    ModelCard,
    Payload,
    Reply,
    StreamHead,
    StreamReply,
    TargetType,
)
from drum_litestar.predictors.steps import record_exception, span
from support.servers.otlp import Collector

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = (b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())
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
        with span("model"):
            return [Reply() for _ in calls]


class Processes:
    """The tracing of an HTTP process and of a worker, each with its own provider, in this process."""

    def __init__(self, collector: Collector, bare: bool) -> None:
        self.collector = collector
        self._bare = bare
        self._providers: list[TracerProvider] = []
        self.front, self.back = self.tracing(), self.tracing()

    def tracing(self, **options: Any) -> Tracing:
        processor = SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{self.collector.endpoint}/v1/traces"))
        if self._bare:
            provider = SpanProvider(processor, Resource.create())
            encoder.install(provider)
        else:
            provider = TracerProvider(shutdown_on_exit=False)
            provider.add_span_processor(processor)
        self._providers.append(provider)
        return Tracing(provider, **options)

    def request(
        self, answer: Answer, name: str = "drum.invocations", *, headers: RawHeaders = (), **call: Any
    ) -> Reply | StreamReply:
        """Send one request through both; what passes between the processes is encoded as there."""
        kind: CallKind = "chat" if name == "drum.chat.completions" else "predict"
        with self.front.request_span(name, headers) as request_span:
            sent = msgspec.msgpack.encode(ModelCall(kind=kind, trace=request_span.carrier, **call))
            predictor = traced(ScriptedPredictor(answer), self.back)
            reply = predictor.handle(msgspec.msgpack.decode(sent, type=ModelCall))
            head: Reply | StreamHead
            if isinstance(reply, StreamReply):
                head = msgspec.msgpack.decode(msgspec.msgpack.encode(reply.head), type=StreamHead)
            else:
                head = msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=Reply)
            Counters(ExecutorTelemetry(tracing=self.front)).answered(
                ModelCall(kind=kind, trace=request_span.carrier), head
            )
            request_span.answered(head)
        return reply

    def close(self) -> None:
        for provider in self._providers:
            provider.shutdown()


@pytest.fixture(params=["sdk", "bare"])
def processes(request: pytest.FixtureRequest) -> Iterator[Processes]:
    with Collector() as collector:
        made = Processes(collector, request.param == "bare")
        yield made
        made.close()


def hook_span(name: str) -> None:
    """Set an attribute on the current span, as a hook does."""
    current = trace.get_current_span()
    assert current.is_recording()
    current.set_attribute("seen.by", name)


def test_steps_nest_under_the_request_and_the_clients_span(processes: Processes) -> None:
    def answer(call: ModelCall) -> Reply:
        for step in ("parse", "model", "serialize"):
            with span(step):
                hook_span(step)
        return Reply()

    processes.request(answer, headers=[TRACEPARENT, *CONSUMER, (b"host", b"x")])
    collector = processes.collector
    assert collector.names() == ["parse", "model", "serialize", "drum.invocations"]
    request = collector.span("drum.invocations")
    assert (request["trace_id"], request["parent"]) == (TRACE, PARENT)
    assert (request["kind"], request["tracer"], request["status"]) == ("internal", TRACER, ("unset", ""))
    assert request["attributes"] == {"gen_ai.request.consumer_id": "cid", "gen_ai.request.consumer_type": "ct"}
    for step in ("parse", "model", "serialize"):
        child = collector.span(step)
        assert (child["trace_id"], child["parent"]) == (TRACE, request["span_id"])
        assert child["attributes"] == {"seen.by": step}


def test_a_request_without_context_starts_a_trace(processes: Processes) -> None:
    processes.request(lambda call: Reply())
    processes.request(lambda call: Reply())
    first, second = processes.collector.spans
    assert first["parent"] == second["parent"] == ""
    assert first["trace_id"] != second["trace_id"]


def test_queue_span_ends_when_the_wait_does(processes: Processes) -> None:
    observer = ExecutorTelemetry(tracing=processes.front)
    with processes.front.request_span("drum.transform", [TRACEPARENT]) as request_span:
        observer.queue_wait(0.25, request_span.carrier)
        observer.queue_wait(0.25, {})
    queue = processes.collector.span("queue")
    assert queue["parent"] == processes.collector.span("drum.transform")["span_id"]
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


def test_errors_of_the_http_process(processes: Processes) -> None:
    for error in (UnprocessableError("no data"), BadRequestError("bad"), QueueTimeoutError()):
        with suppress(type(error)), processes.front.request_span("drum.invocations", ()):
            raise error
    unset, bad, queue = processes.collector.spans
    assert (unset["status"][0], unset["events"]) == ("unset", [])
    assert (bad["status"], bad["events"][0][0]) == (("error", "BadRequestError: bad"), "exception")
    assert queue["status"][1].startswith("QueueTimeoutError: Service temporarily")


def test_direct_access_without_llm_fails_without_an_event(processes: Processes) -> None:
    text = "This endpoint is only supported by OpenAI based predictors"
    with suppress(BadRequestError), processes.front.request_span("drum.directAccess", ()) as request_span:
        request_span.fail(text)
        raise BadRequestError(text)
    request = processes.collector.span("drum.directAccess")
    assert (request["status"], request["events"]) == (("error", text), [])


def test_a_held_span_ends_with_its_stream(processes: Processes) -> None:
    with processes.front.request_span("drum.directAccess", ()) as request_span:
        request_span.hold()
    assert processes.collector.spans == []
    request_span.end()
    request_span.end()
    assert processes.collector.names() == ["drum.directAccess"]


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

REQUEST = Payload(data=b'{"model":"gpt","messages":[{"role":"user","content":"hi"}]}')


def completion() -> Reply:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
    return Reply(body=json.dumps({"object": "chat.completion", "model": "mm", "choices": [choice]}).encode())


def test_chat_attributes_are_on_the_requests_span(processes: Processes) -> None:
    processes.request(lambda call: completion(), "drum.chat.completions", headers=CONSUMER, body=REQUEST)
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
    return b"data: " + json.dumps({"model": "mm", "choices": [choice]}).encode() + b"\n\n"


def streaming(chunks: Callable[[], Iterator[bytes]]) -> Answer:
    return lambda call: StreamReply(StreamHead(), chunks())


def test_a_streams_span_lives_as_long_as_the_stream(processes: Processes) -> None:
    def chunks() -> Iterator[bytes]:
        yield chunk("hel")
        hook_span("generator")
        with span("model"):
            yield chunk("lo", "stop")
        yield b"data: [DONE]\n\n"

    reply = processes.request(streaming(chunks), "drum.chat.completions", body=REQUEST)
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

    reply = processes.request(streaming(chunks), "drum.chat.completions", body=REQUEST)
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
        yield b'data: {"error": {"message": "mid"}}\n\n'

    reply = processes.request(streaming(chunks), "drum.chat.completions", body=REQUEST)
    assert isinstance(reply, StreamReply)
    list(reply.chunks)
    assert processes.collector.span("drum.chat.completions.stream")["status"] == ("error", "mid")


def test_a_client_that_leaves_ends_the_stream(processes: Processes) -> None:
    ended = []

    def chunks() -> Iterator[bytes]:
        try:
            yield chunk("hel")
            yield chunk("lo")
        finally:
            ended.append(True)

    reply = processes.request(streaming(chunks), "drum.chat.completions", body=REQUEST)
    assert isinstance(reply, StreamReply)
    next(iter(reply.chunks))
    reply.close()
    assert ended == [True]
    stream = processes.collector.span("drum.chat.completions.stream")
    assert (stream["status"], stream["attributes"]["gen_ai.completion"]) == (("unset", ""), "hel")


# Batches, sampling, propagators, tracing switched off


def test_a_batch_links_to_all_its_requests(processes: Processes) -> None:
    predictor = traced(ScriptedBatchPredictor(lambda call: Reply()), processes.back)
    assert isinstance(predictor, BatchPredictor)
    with (
        processes.front.request_span("drum.invocations", [TRACEPARENT]) as first,
        processes.front.request_span("drum.invocations", ()) as second,
    ):
        calls = [ModelCall(kind="predict", trace=carrier) for carrier in (first.carrier, second.carrier, {})]
        assert predictor.handle_batch(calls) == [Reply()] * 3
    batch = processes.collector.span("batch")
    assert batch["trace_id"] == TRACE
    assert batch["attributes"] == {"drum.batch.calls": 3}
    assert [link["trace_id"] for link in batch["links"]] == [f"{second.span.get_span_context().trace_id:032x}"]
    assert processes.collector.span("model")["parent"] == batch["span_id"]
    assert not isinstance(traced(ScriptedPredictor(lambda call: Reply()), processes.back), BatchPredictor)


def test_a_request_that_is_not_sampled_is_not_reported(processes: Processes) -> None:
    front = Tracing(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    processes.front = front
    reply = processes.request(lambda call: completion(), "drum.chat.completions", body=REQUEST)
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
    predictor = traced(Batching(stream), processes.back)
    reply = predictor.handle(call)
    assert isinstance(reply, StreamReply)
    assert next(iter(reply.chunks)) == b"x"
    reply.close()
    assert isinstance(predictor, BatchPredictor)
    assert predictor.handle_batch([call] * 2) == [Reply()] * 2
    assert seen == [(TRACE, False)] * 4
    assert processes.collector.spans == []


def test_b3_when_it_is_configured(processes: Processes) -> None:
    b3 = B3MultiFormat()
    processes.front, processes.back = processes.tracing(propagator=b3), processes.tracing(propagator=b3)
    headers = [(b"x-b3-traceid", TRACE.encode()), (b"x-b3-spanid", PARENT.encode()), (b"x-b3-sampled", b"1")]

    def answer(call: ModelCall) -> Reply:
        assert call.trace["x-b3-traceid"] == TRACE
        with span("model"):
            return Reply()

    processes.request(answer, headers=headers)
    request = processes.collector.span("drum.invocations")
    assert (request["trace_id"], request["parent"]) == (TRACE, PARENT)
    assert processes.collector.span("model")["parent"] == request["span_id"]


def test_without_tracing_the_context_is_passed_on_and_nothing_is_wrapped() -> None:
    tracing = Tracing()
    assert not tracing.enabled
    predictor = ScriptedPredictor(lambda call: Reply())
    assert traced(predictor, tracing) is predictor
    first, second = tracing.request_span("drum.invocations", CONSUMER), tracing.request_span("drum.transform", ())
    assert first is second
    with tracing.request_span("drum.invocations", [TRACEPARENT, (b"baggage", b"a=1")]) as request_span:
        assert request_span.carrier == {"traceparent": TRACEPARENT[1].decode(), "baggage": "a=1"}
        request_span.answered(Reply(status=500))
        request_span.fail("x")
        request_span.hold()
    request_span.end()
    tracing.queue_waited(1.0, request_span.carrier)
    headers = {"traceparent": "the client's"}
    with tracing.upstream_call("GET", "http://llm/v1", headers) as client:
        upstream_answered(client, 500)
    assert headers == {"traceparent": "the client's"}
    with span("model"):
        record_exception(ValueError())
    with pytest.raises(ValueError, match="through"), tracing.request_span("drum.invocations", ()):
        raise ValueError("through")


def test_load_and_close_reach_the_wrapped_predictor(processes: Processes) -> None:
    inner = ScriptedPredictor(lambda call: Reply())
    predictor = traced(inner, processes.back)
    assert predictor.load().target_type is TargetType.REGRESSION
    predictor.close()
    assert inner.closed
