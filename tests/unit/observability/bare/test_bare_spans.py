"""Bare spans against the SDK's: the same bytes, ids, decisions and growth."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from drum_litestar.observability.bare import encoder
from drum_litestar.observability.bare.call import BareCall
from drum_litestar.observability.bare.ended import Ended, pack, unpack
from drum_litestar.observability.bare.ids import Ids
from drum_litestar.observability.bare.spans import BareSpan
from drum_litestar.observability.bare.tracer import SpanProvider
from drum_litestar.observability.tracing.request_span import Carrier
from drum_litestar.observability.tracing.request_tracer import TRACER, Tracing
from support.servers.otlp import Items

RESOURCE = Resource.create({"service.name": "bare", "k": 7})
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
SAMPLED = TraceFlags(TraceFlags.SAMPLED)


@pytest.fixture(autouse=True)
def exporter_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """``install`` replaces it; undone after each test."""
    encode = trace_exporter.encode_spans
    monkeypatch.setattr(trace_exporter, "encode_spans", getattr(encode, "_encode", encode))


@pytest.fixture
def items() -> Items:
    return Items()


@pytest.fixture
def provider(items: Items) -> Iterator[SpanProvider]:
    made = SpanProvider(SimpleSpanProcessor(items), RESOURCE)
    encoder.install(made)
    assert made.own.bare
    yield made
    made.shutdown()


def within(parent: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


def decoded(message: Any) -> list[Any]:
    """The message's spans, each with its resource and scope."""
    read = ExportTraceServiceRequest.FromString(message.SerializePartialToString())
    return [
        (resource.resource, resource.schema_url, scope.scope, scope.schema_url, span)
        for resource in read.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def spans_of(item: Ended) -> list[Any]:
    """Of the only request in it."""
    ((*_, spans),) = item.traces
    return spans


def sdk_encoded(spans: Sequence[Any]) -> Any:
    """The message that the SDK makes."""
    return trace_exporter.encode_spans._encode(spans)


def twin_of(span: trace.Span, name: str, above: Context, start: int) -> Any:
    """A span of the SDK with the same ids."""
    ids = Ids()
    sdk = TracerProvider(resource=RESOURCE, id_generator=ids, shutdown_on_exit=False).get_tracer(TRACER)
    with ids.chosen(span.get_span_context()):
        return sdk.start_span(name, above, start_time=start)


def flags_of_the_sdk() -> list[TraceFlags]:
    return [SAMPLED, TraceFlags(SAMPLED | getattr(TraceFlags, "RANDOM_TRACE_ID", 0))]


PARENTS = [None, *[SpanContext(TRACE, SPAN, remote, flags) for remote in (False, True) for flags in flags_of_the_sdk()]]


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize("name", ["model", "drum.invocations", "n" * 200, "\u00e4\u4e2d", "%b %s"])
def test_bytes_are_the_sdks(provider: SpanProvider, items: Items, parent: SpanContext | None, name: str) -> None:
    above = Context() if parent is None else within(parent)
    for start, end in ((1, 2**63), (1_700_000_000_000_000_000, 1_700_000_000_000_000_001)):
        span = provider.own.start_span(name, above, start_time=start)
        assert type(span) is BareSpan
        span.end(end)
        twin = twin_of(span, name, above, start)
        twin.end(end)
        assert twin.get_span_context() == span.get_span_context()
        assert decoded(trace_exporter.encode_spans(items.items[-1:])) == decoded(sdk_encoded([twin]))


def test_many_spans_at_once_are_the_sdks_too(provider: SpanProvider, items: Items) -> None:
    """Spans are written by columns."""
    numbers = random.Random(7)
    twins = []
    for _ in range(300):
        parent = numbers.choice(PARENTS)
        above = Context() if parent is None else within(parent)
        name, start = numbers.choice(["a", "bb"]), numbers.getrandbits(63)
        span = provider.own.start_span(name, above, start_time=start)
        twin = twin_of(span, name, above, start)
        for each in (span, twin):
            each.end(start + 5)
        twins.append(twin)

    def sortable(spans: list[Any]) -> list[Any]:
        return sorted(spans, key=lambda span: span[4].span_id)

    assert sortable(decoded(trace_exporter.encode_spans(items.items))) == sortable(decoded(sdk_encoded(twins)))


def test_a_batch_may_hold_spans_of_both_kinds_and_of_two_providers(provider: SpanProvider, items: Items) -> None:
    other = SpanProvider(SimpleSpanProcessor(items), Resource.create({"service.name": "other"}))
    encoder.install(other)
    for maker in (provider, other):
        with maker.get_tracer("hook").start_as_current_span("hook's"):
            span = maker.own.start_span("model")
        assert isinstance(span, BareSpan)
        span.ended.append(("queue", 0, 0, False, 5, 6))
        span.end()
    spans = {span[4].name: span for span in decoded(trace_exporter.encode_spans(items.items))}
    assert len(items.items) == 4
    found = decoded(trace_exporter.encode_spans(items.items))
    assert sorted(span[4].name for span in found) == ["hook's"] * 2 + ["model"] * 2 + ["queue"] * 2
    assert spans["queue"][4].parent_span_id == spans["model"][4].span_id
    assert len({span[4].span_id for span in found}) == 6
    services = [span[0].attributes for span in found if span[4].name == "queue"]
    assert services[0] != services[1]
    assert decoded(trace_exporter.encode_spans([])) == []


# Growth


def grow_everything(span: trace.Span) -> None:
    span.set_attribute("a", 1)
    span.set_attributes({"b": "two", "c": [1.5]})
    span.add_event("event", {"d": True}, 7)
    if hasattr(trace.Span, "add_link"):  # older SDKs have none
        span.add_link(SpanContext(5, 6, True, SAMPLED), {"e": 1})
    span.record_exception(ValueError("boom"), timestamp=8)
    span.set_status(trace.StatusCode.ERROR, "why")
    span.update_name("renamed")


@pytest.mark.parametrize("parent", PARENTS)
def test_a_span_of_the_sdk_takes_its_place(provider: SpanProvider, items: Items, parent: SpanContext | None) -> None:
    above = Context() if parent is None else within(parent)
    span = provider.own.start_span("model", above, start_time=3)
    assert isinstance(span, BareSpan)
    span.set_attributes({})
    assert span._full is None
    grow_everything(span)
    assert span.attributes == {"a": 1, "b": "two", "c": (1.5,)}  # what a hook may read of the SDK's
    assert span.is_recording()
    span.end(9)
    span.end(10)
    assert not span.is_recording()
    span.set_attribute("late", 1)
    assert (span.name, span.end_time) == ("renamed", 9)
    twin = twin_of(span, "model", above, 3)
    grow_everything(twin)
    twin.end(9)
    (ended,) = items.items
    assert (ended.name, ended.start_time, ended.end_time) == ("renamed", 3, 9)
    assert decoded(sdk_encoded([ended])) == decoded(sdk_encoded([twin]))


def test_a_bare_span_can_be_read_after_its_end(provider: SpanProvider, items: Items) -> None:
    span = provider.own.start_span("model", Context(), start_time=3)
    assert isinstance(span, BareSpan)
    span.end(9)
    assert (dict(span.attributes), span.end_time, span.status.is_ok) == ({}, 9, True)
    assert len(items.items) == 1


def test_a_processor_that_makes_spans_while_one_grows(provider: SpanProvider, items: Items) -> None:
    hook = provider.get_tracer("hook")
    inner: list[Any] = []

    class Nosy(SimpleSpanProcessor):  # type: ignore[misc]
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if span.name == "model":
                inner.append(hook.start_span("inner", Context()))

    span = provider.own.start_span("model", Context())
    provider.add_span_processor(Nosy(Items()))
    span.set_attribute("a", 1)
    assert inner[0].get_span_context().span_id != span.get_span_context().span_id


def test_children_leave_with_a_grown_span_and_after_the_end(provider: SpanProvider, items: Items) -> None:
    span = provider.own.start_span("request", Context())
    assert isinstance(span, BareSpan)
    span.ended.append(("queue", 0, 0, False, 1, 2))
    span.set_attribute("a", 1)
    span.end()
    span.ended.append(("queue", 0, 0, False, 3, 4))
    full, first, second = items.items
    assert full.name == "request"
    assert [bare[0] for item in (first, second) for bare in spans_of(item)] == ["queue", "queue"]
    above = {sent[4].parent_span_id for sent in decoded(trace_exporter.encode_spans([first, second]))}
    assert above == {span.get_span_context().span_id.to_bytes(8, "big")}


def test_more_than_a_bare_span_is_the_sdks_from_the_start(provider: SpanProvider, items: Items) -> None:
    tracer = provider.own
    with tracer.start_as_current_span("batch", attributes={"n": 3}):
        tracer.start_span("linked", links=[trace.Link(SpanContext(5, 6, True, SAMPLED))]).end()
        tracer.start_span("client", kind=trace.SpanKind.CLIENT).end()
    state = SpanContext(TRACE, SPAN, True, SAMPLED, trace.TraceState([("k", "v")]))
    tracer.start_span("stateful", within(state)).end()
    assert [type(item) is Ended for item in items.items] == [False] * 4
    assert items.items[-1].context.trace_state == state.trace_state


def test_ids_are_chosen_in_one_thread_only(provider: SpanProvider) -> None:
    ids = provider.id_generator
    others: list[int] = []
    with ids.chosen(SpanContext(TRACE, SPAN, False, SAMPLED)):
        thread = threading.Thread(target=lambda: others.append(ids.generate_span_id()))
        thread.start()
        thread.join()
        assert (ids.generate_trace_id(), ids.generate_span_id()) == (TRACE, SPAN)
    assert others != [SPAN]
    assert ids.generate_trace_id() != TRACE


def test_hooks_that_seed_get_their_own_numbers_and_ids_differ(provider: SpanProvider) -> None:
    ids = []
    for _ in range(2):
        random.seed(1)
        expected = [random.random() for _ in range(3)]
        random.seed(1)
        for number in expected:
            ids += [provider.own.start_span("a", Context()).get_span_context().span_id, provider.own.random_id()]
            ids.append(provider.get_tracer("hook").start_span("b").get_span_context().trace_id)
            assert random.random() == number
    assert len(set(ids)) == len(ids)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_has_ids_of_its_own(provider: SpanProvider) -> None:
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, b"%020d" % provider.own.random_id())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(reader, 20)) != provider.own.random_id()
    os.close(reader)
    os.close(writer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_another_thread_ends_a_span_does_not_hang(provider: SpanProvider) -> None:
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with provider.own.growing:
            held.set()
            over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    if (child := os.fork()) == 0:
        signal.alarm(10)
        provider.own.start_span("model", Context()).end()
        os._exit(7)
    over.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_threads_that_want_more_at_the_same_time_get_one_span(provider: SpanProvider, items: Items) -> None:
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            span = provider.own.start_span("model", Context())
            threads = [threading.Thread(target=span.set_attribute, args=(str(n), n)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            span.end()
            assert len(items.items.pop().attributes) == 4
            assert items.items == []
    finally:
        sys.setswitchinterval(switch)


# The steps of a call

TRACEPARENT = f"00-{TRACE:032x}-{SPAN:016x}-01"


@contextmanager
def call_of(provider: SpanProvider) -> Iterator[BareCall]:
    """As the traced predictor makes one."""
    call = provider.own.call({"traceparent": TRACEPARENT})
    assert call is not None
    token = otel_context.attach(call.context)
    try:
        yield call
    finally:
        otel_context.detach(token)
        call.export_steps()


def test_steps_nest_and_hooks_nest_under_them(provider: SpanProvider, items: Items) -> None:
    hook = provider.get_tracer("hook")
    with call_of(provider) as call:
        between = trace.get_current_span()
        assert between.get_span_context() == SpanContext(TRACE, SPAN, True, SAMPLED)
        assert not between.is_recording()
        with call.step("model", True):
            hook.start_span("hook's").end()
            model = trace.get_current_span()
            with call.step("inner", True):
                trace.get_current_span().set_attribute("inner", True)
            assert isinstance(model, BareSpan)
            assert model.name == "model"
            model.set_attribute("a", 1)
        model.set_attribute("late", 1)
        hook.start_span("late", trace.set_span_in_context(model)).end()
        with pytest.raises(ValueError, match="boom"), call.step("serialize", False):
            raise ValueError("boom \udcff")
    hooks, inner, full_model, late, serialize = items.items
    own = model.get_span_context()
    assert (hooks.parent, late.parent, hooks.context.trace_id) == (own, own, TRACE)
    assert (inner.parent, dict(inner.attributes)) == (own, {"inner": True})
    assert (full_model.context, full_model.parent.span_id, dict(full_model.attributes)) == (own, SPAN, {"a": 1})
    assert full_model.parent.is_remote
    assert (serialize.status.description, serialize.events[0].name) == ("ValueError: boom ?", "exception")
    assert decoded(trace_exporter.encode_spans(items.items))


def test_bare_steps_leave_as_one_item(provider: SpanProvider, items: Items) -> None:
    with call_of(provider) as call:
        with call.step("parse", False):
            pass
        with call.step("model", True), call.step("inner", True):
            trace.get_current_span().end()  # as a hook may
            assert items.items == []
        with call.step("serialize", False):
            pass
    (ended,) = items.items
    spans = {span[4].name: span[4] for span in decoded(trace_exporter.encode_spans([ended]))}
    assert [step[0] for step in unpack(*spans_of(ended))] == ["parse", "inner", "model", "serialize"]
    assert len(spans) == 4
    assert spans["inner"].parent_span_id == spans["model"].span_id
    assert {spans[name].parent_span_id for name in ("parse", "model", "serialize")} == {SPAN.to_bytes(8, "big")}
    assert spans["model"].start_time_unix_nano <= spans["inner"].start_time_unix_nano
    assert spans["inner"].end_time_unix_nano <= spans["model"].end_time_unix_nano


@pytest.mark.parametrize("traceparent", ["", TRACEPARENT + "0", "01" + TRACEPARENT[2:]])
def test_no_bare_call(provider: SpanProvider, traceparent: str) -> None:
    assert provider.own.call({"traceparent": traceparent}) is None


@pytest.mark.parametrize(
    ("traceparent", "context"),
    [
        (f"00-{TRACE:032x}-{SPAN:016x}-00", SpanContext(TRACE, SPAN, True, TraceFlags(0))),
        ("00-" + "x" * 32 + "-" + "y" * 16 + "-00", None),
        ("00-" + "x" * 52, None),
    ],
)
def test_a_call_that_is_not_sampled_or_has_a_clients_own_header(
    provider: SpanProvider, traceparent: str, context: SpanContext | None
) -> None:
    call = provider.own.call({"traceparent": traceparent})
    assert call is not None
    assert not call.sampled
    assert trace.get_current_span(call.context).get_span_context() == (context or trace.INVALID_SPAN_CONTEXT)
    repr(trace.get_current_span(call.context))


def test_without_an_answer_the_steps_leave_alone(provider: SpanProvider, items: Items) -> None:
    call = provider.own.call({"traceparent": TRACEPARENT})
    assert call is not None
    with call.step("parse", False):
        pass
    call.export_steps()
    call.export_steps()
    assert [[step[0] for step in unpack(*spans_of(ended))] for ended in items.items] == [["parse"]]
    assert call.take_steps() == b""


def test_steps_stay_in_a_process_that_says_which_it_is(items: Items) -> None:
    made = SpanProvider(SimpleSpanProcessor(items), Resource({"process.pid": 7}))
    encoder.install(made)
    call = made.own.call({"traceparent": TRACEPARENT})
    assert call is not None
    with call.step("parse", False):
        pass
    assert call.take_steps() == b""
    ((*_, span),) = decoded(trace_exporter.encode_spans(items.items))
    assert (span.name, span.trace_id, span.parent_span_id) == (
        "parse",
        TRACE.to_bytes(16, "big"),
        SPAN.to_bytes(8, "big"),
    )


@pytest.mark.parametrize("odd", [2.5e18, 2**64, -1, 0, "now", float("nan"), object()])
def test_an_odd_end_costs_neither_the_answer_nor_the_batch(provider: SpanProvider, items: Items, odd: Any) -> None:
    with call_of(provider) as call, call.step("model", True):
        trace.get_current_span().end(odd)
    ((*_, span),) = decoded(trace_exporter.encode_spans(items.items))
    assert span.name == "model"
    if odd == 2.5e18:
        assert span.end_time_unix_nano == 2_500_000_000_000_000_000
    else:  # the present
        assert 0 <= span.end_time_unix_nano - span.start_time_unix_nano < 10**11


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_error_without_a_text_stays_the_error(provider: SpanProvider, items: Items) -> None:
    with pytest.raises(MuteError), call_of(provider) as call, call.step("model", True):
        raise MuteError
    assert items.items[0].status.description == "MuteError: (its text cannot be had)"


# Sampling, and when bare spans are not for


@pytest.mark.parametrize(
    ("sampler", "argument"),
    [
        ("always_on", ""),
        ("always_off", ""),
        ("traceidratio", "0.5"),
        ("parentbased_always_on", ""),
        ("parentbased_always_off", ""),
        ("parentbased_traceidratio", "0.5"),
    ],
)
def test_the_sdks_samplers_decide_alike(
    monkeypatch: pytest.MonkeyPatch, items: Items, sampler: str, argument: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    ours = Tracing(SpanProvider(SimpleSpanProcessor(items), RESOURCE))
    sdk = Tracing(TracerProvider(resource=RESOURCE, shutdown_on_exit=False))
    sampled = 0
    for number in range(64):
        for flags in (0, 1):
            header = (b"traceparent", f"00-{number * 2**58 + 1:032x}-{SPAN:016x}-{flags:02x}".encode())
            contexts = []
            for tracing in (ours, sdk):
                with tracing.request_span("drum.invocations", [header]) as request:
                    own = request.span.get_span_context()
                    contexts.append((own.trace_id, own.trace_flags, request.span.is_recording()))
                    assert (
                        request.carrier["traceparent"]
                        == f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"
                    )
            assert contexts[0] == contexts[1]
            sampled += contexts[0][2]
    roots = [ours.request_span("drum.invocations", ()) for _ in range(400)]
    recording = sum(root.span.is_recording() for root in roots)
    share = {"off": 0.0, "on": 1.0, "ratio": 0.5}[next(end for end in ("off", "on", "ratio") if sampler.endswith(end))]
    assert recording == pytest.approx(400 * share, abs=80 if share == 0.5 else 0)
    assert len({root.span.get_span_context().trace_id for root in roots}) == 400
    assert sampled == {"always_on": 128, "always_off": 0}.get(sampler, sampled)


IDS = f"{TRACE:032x}-{SPAN:016x}"


@pytest.mark.parametrize(
    "header",
    [
        f"00-{IDS}-01",
        f"00-{IDS}-00",
        f"00-{IDS}-02",
        f"00-{IDS}-03",
        f"00-{IDS}-ff",
        f"00-{IDS}-01-more",
        f"01-{IDS}-01",
        f"cc-{IDS}-01-more",
        f"ff-{IDS}-01",
        f" 00-{IDS}-01\t",
        f"00-{IDS.upper()}-01",
        f"00-{IDS}-1",
        f"00-{IDS}-0g",
        f"00-{0:032x}-{SPAN:016x}-01",
        f"00-{TRACE:032x}-{0:016x}-01",
        f"00-{IDS}-01\n",
        "00-\u0661" + IDS[1:] + "-01",
        "",
    ],
)
@pytest.mark.parametrize("twice", [False, True])
def test_a_clients_header_is_read_as_the_propagators_read_it(
    provider: SpanProvider, items: Items, header: str, twice: bool
) -> None:
    sdk = Tracing(TracerProvider(resource=RESOURCE, shutdown_on_exit=False))
    headers = [(b"traceparent", header.encode("latin-1", "replace"))] * (1 + twice)
    tracing = Tracing(provider)
    with sdk.request_span("drum.invocations", headers) as theirs:
        pass
    with tracing.request_span("drum.invocations", headers) as ours:
        assert trace.get_current_span() is ours.span
        tracing.queue_waited(0.1, ours.carrier)
    theirs_own, own = theirs.span.get_span_context(), ours.span.get_span_context()
    assert own.trace_flags == theirs_own.trace_flags
    assert (own.trace_id == TRACE) == (theirs_own.trace_id == TRACE)
    assert getattr(ours.span, "parent", None) == getattr(theirs.span, "parent", None)
    assert len(ours.carrier) == len(theirs.carrier) == 1
    assert ours.carrier["traceparent"] == f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"
    assert own.is_valid
    assert not own.is_remote
    assert bool(items.items) == own.trace_flags.sampled


def test_without_a_context_the_current_one_decides(provider: SpanProvider) -> None:
    token = otel_context.attach(within(SpanContext(TRACE, SPAN, True, TraceFlags(0))))
    try:
        span = provider.own.start_span("model")
    finally:
        otel_context.detach(token)
    assert (span.get_span_context().trace_id, span.is_recording()) == (TRACE, False)


def test_another_processor_sees_spans_of_the_sdk(provider: SpanProvider, items: Items) -> None:
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracing = Tracing(provider)
    with tracing.request_span("drum.invocations", ()) as request:
        assert tracing.bare_call(request.carrier) is None
        tracing.queue_waited(0.1, request.carrier)
        assert isinstance(request.carrier, Carrier)
        assert request.carrier.bare is None
    assert [span.name for span in memory.get_finished_spans()] == ["queue", "drum.invocations"]
    assert [span.name for span in items.items] == ["queue", "drum.invocations"]


class HalfSampler(Sampler):  # type: ignore[misc]
    """A user's own, which adds an attribute."""

    def should_sample(self, *args: Any, **options: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {"rule": "mine"})

    def get_description(self) -> str:
        return "mine"


def test_a_users_own_sampler_is_asked_for_every_span(monkeypatch: pytest.MonkeyPatch, items: Items) -> None:
    monkeypatch.setattr("opentelemetry.sdk.trace.sampling._get_from_env_or_default", HalfSampler)
    tracing = Tracing(SpanProvider(SimpleSpanProcessor(items), RESOURCE))
    with tracing.request_span("drum.invocations", ()) as request:
        tracing.queue_waited(0.1, request.carrier)
    assert [dict(span.attributes) for span in items.items] == [{"rule": "mine"}] * 2


class StatefulSampler(HalfSampler):
    """A user's own, which adds to the trace state."""

    def should_sample(self, *args: Any, **options: Any) -> SamplingResult:
        return SamplingResult(self.decision, None, trace.TraceState([("k", "v")]))

    def __init__(self, decision: Decision) -> None:
        self.decision = decision


@pytest.mark.parametrize("decision", [Decision.RECORD_AND_SAMPLE, Decision.DROP])
def test_a_trace_state_goes_on_to_the_models_process(
    monkeypatch: pytest.MonkeyPatch, items: Items, decision: Decision
) -> None:
    """A sampler of the SDK may have a user's own below it."""
    sampler = ParentBased(StatefulSampler(decision))
    monkeypatch.setattr("opentelemetry.sdk.trace.sampling._get_from_env_or_default", lambda: sampler)
    made = SpanProvider(SimpleSpanProcessor(items), RESOURCE)
    assert made.own.bare
    with Tracing(made).request_span("drum.invocations", ()) as request:
        assert request.carrier["tracestate"] == "k=v"
    assert [span.name for span in items.items] == ["drum.invocations"] * (decision is not Decision.DROP)


def test_steps_reach_a_request_that_is_over_or_has_a_span_of_the_sdk(provider: SpanProvider, items: Items) -> None:
    """A late answer; and an HTTP process to which a processor was added, which model workers cannot know."""
    tracing = Tracing(provider)
    steps = [("model", 5, 0, True, 1, 2), ("inner", 0, 5, False, 1, 2)]
    for bare in (True, False):
        items.items.clear()
        if not bare:
            provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
        with tracing.request_span("drum.invocations", ()) as request:
            if not bare:
                tracing.steps_ended(pack(steps), request.carrier)
        if bare:
            tracing.steps_ended(pack(steps), request.carrier)
        own = request.span.get_span_context()
        spans = {span.name: span for *_, span in decoded(trace_exporter.encode_spans(items.items))}
        assert sorted(spans) == ["drum.invocations", "inner", "model"]
        assert {span.trace_id for span in spans.values()} == {own.trace_id.to_bytes(16, "big")}
        assert spans["model"].parent_span_id == own.span_id.to_bytes(8, "big")
        assert spans["inner"].parent_span_id == spans["model"].span_id == (5).to_bytes(8, "big")


@pytest.mark.parametrize("broken", ["gone", "unlike"])
def test_an_exporter_unlike_all_known_ones_gets_spans_of_the_sdk(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, items: Items, broken: str
) -> None:
    if broken == "gone":
        monkeypatch.delattr(trace_exporter, "encode_spans")
    else:
        encode = trace_exporter.encode_spans

        def unlike(spans: Sequence[Any]) -> Any:
            message = encode(spans)
            for resource in message.resource_spans:
                resource.scope_spans[0].spans[0].trace_id = b"?" * 16
            return message

        monkeypatch.setattr(trace_exporter, "encode_spans", unlike)
    made = SpanProvider(SimpleSpanProcessor(items), RESOURCE)
    encoder.install(made)
    assert "OpenTelemetry's SDK alone" in caplog.text
    made.own.start_span("model").end()
    assert items.items[0].name == "model"
