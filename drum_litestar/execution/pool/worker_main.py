"""Main function of a model worker: one predictor behind one socket."""

from __future__ import annotations

import functools
import gc
import importlib
import logging
import os
import signal
import socket
import sys
import time
import traceback
from concurrent.futures import Future
from types import FrameType
from typing import Any

import msgspec

from drum_litestar.context import StdoutFlusher, WorkerContext, WorkerStop
from drum_litestar.errors import ModelLoadError
from drum_litestar.execution import invoke
from drum_litestar.execution.pool import isolation, wire
from drum_litestar.execution.pool.worker_connection import Connection, Inbox
from drum_litestar.execution.runners import ComputeThreads, LoopRunner
from drum_litestar.execution.streaming import Flow, ThreadFlow, produce
from drum_litestar.observability.logs.prints import end_prints
from drum_litestar.predictors.protocol import CallLoop, ModelCall, Predictor, Reply, StreamReply, call_loop
from drum_litestar.request_context import request_id_var

_log = logging.getLogger(__name__)

FORCE_STOP_GRACE = 1.0
"""Seconds for generators in threads to close after SIGTERM; SIGKILL follows soon."""

BROKEN = 70
"""Exit code of a worker that cannot answer (``EX_SOFTWARE``)."""


def main(fd: int) -> None:
    """Run a worker on the inherited socket ``fd`` until a stop message, the end of its parent, or a kill.

    Exits with 0, or with the load failure's exit code.
    """
    connection = Connection(socket.socket(fileno=fd))
    init = connection.receive()
    if init is None or not isinstance(init[0], wire.Init):
        return
    isolation.enter(init[0])
    signal.signal(signal.SIGTERM, functools.partial(_terminate, connection))
    try:
        code = _serve(init[0], connection)
    except (WorkerStop, KeyboardInterrupt):
        code = 0
    except OSError:  # the socket is of no use, for instance because the model's code has closed it
        traceback.print_exc()
        os._exit(BROKEN)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(code)


def _terminate(connection: Connection, _number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # another one would only interrupt the clean-up
    connection.mute()  # a frame may be half sent
    raise WorkerStop


def _serve(init: wire.Init, connection: Connection) -> int:
    """Load, run, clean up. Returns the exit code."""
    context = WorkerContext(f"worker-{init.worker}")
    context.start()
    flusher = StdoutFlusher()
    predictor: Predictor | None = None
    try:
        predictor, card = invoke.load(functools.partial(_build, init, context))
        threads = init.threads or max(card.concurrency, init.least_threads if card.may_wait else 1)
        # What exists now belongs to the model and stays: the collector need not traverse it again.
        gc.collect()
        gc.freeze()
        connection.send(wire.Ready(card, threads))
        answering = _Answering(connection, predictor, flusher)
        if threads == 1:
            _SerialLoop(connection, answering).run()
        else:
            _overlap(connection, answering, threads, call_loop(predictor))
        return 0
    except ModelLoadError as exc:
        connection.send(wire.LoadFailed(exc.reason, exc.exit_code, exc.detail, exc.remedy))
        return exc.exit_code
    finally:
        context.close()
        if predictor is not None:
            invoke.close(predictor)
        flusher.close()


def _build(init: wire.Init, context: WorkerContext) -> Predictor:
    spec = msgspec.msgpack.decode(init.spec, type=_import(init.spec_type))
    predictor: Predictor = _import(init.builder)(spec, worker=init.worker, context=context, **init.builder_kwargs)
    return predictor


def _import(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))


class _Answering:
    """Answers calls, each in the thread that computes it."""

    def __init__(self, connection: Connection, predictor: Predictor, flusher: StdoutFlusher) -> None:
        self._connection = connection
        self._predictor = predictor
        self._flusher = flusher

    def answer(self, call_id: int, call: ModelCall | list[ModelCall], flow: Flow) -> None:
        if isinstance(call, list):
            self._answer_batch(call_id, call)
        else:
            self._answer_one(call_id, call, flow)
            end_prints()
        self._flusher.touch()
        request_id_var.set("")

    def _answer_batch(self, call_id: int, calls: list[ModelCall]) -> None:
        for part in invoke.invoke_batch(self._predictor, calls):
            self._connection.send(wire.BatchAnswer(call_id, part))
            end_prints()

    def _answer_one(self, call_id: int, call: ModelCall, flow: Flow) -> None:
        began = time.perf_counter()
        request_id_var.set(call.request_id)
        answer = invoke.invoke(self._predictor, call)
        if isinstance(answer, Reply):
            seconds = time.perf_counter() - began
            body, answer.body = answer.body, b""
            self._connection.send(wire.Answer(call_id, seconds, answer), body)
        else:
            self._stream(call_id, answer, flow, began)

    def _stream(self, call_id: int, answer: StreamReply, flow: Flow, began: float) -> None:
        connection = self._connection
        connection.send(wire.StreamBegin(call_id, answer.head))
        chunk = wire.Chunk(call_id)
        error = produce(answer, flow, lambda piece: connection.send(chunk, piece))
        if error is not None:
            _log.error("The model failed while streaming", exc_info=error)
        connection.send(wire.StreamEnd(call_id, time.perf_counter() - began, error is not None))


class _SerialLoop:
    """One call at a time, read and computed by the main thread: no thread switches, and hooks may use what Python
    allows only there (signals)."""

    def __init__(self, connection: Connection, answering: _Answering) -> None:
        self._connection = connection
        self._answering = answering

    def run(self) -> None:
        inbox = Inbox(self._connection)
        while (taken := inbox.take()) is not None:
            call_id, call, flow = taken
            self._answering.answer(call_id, call, flow)
            del taken, call  # while the thread waits, the last call's body must not stay alive


def _overlap(connection: Connection, answering: _Answering, threads: int, loop: CallLoop | None) -> None:
    """Several calls at a time: in ``threads``, or in the thread of the model's event loop."""
    calls = _Overlapping(answering, ComputeThreads(threads, "model") if loop is None else LoopRunner(loop))
    try:
        if loop is None:
            _receive_in_main_thread(connection, calls)
        else:
            _receive_on_loop(connection, calls, loop)
        calls.end(None)
    except WorkerStop:
        calls.end(FORCE_STOP_GRACE)
        raise


class _Overlapping:
    """Calls that overlap: each is a job of ``runner``."""

    def __init__(self, answering: _Answering, runner: ComputeThreads | LoopRunner) -> None:
        self._answering = answering
        self._runner = runner
        self._flows: dict[int, ThreadFlow] = {}

    def take(self, message: wire.ToWorker, body: bytes | memoryview) -> None:
        """Start a call, or control the stream of one."""
        if isinstance(message, (wire.Call, wire.Batch)):
            flow = self._flows[message.id] = ThreadFlow(self._runner.wait)
            call = wire.fill(message.call, body) if isinstance(message, wire.Call) else message.calls
            self._runner.submit(functools.partial(self._run, message.id, call, flow))
        elif isinstance(message, (wire.Grant, wire.Cancel)):
            self._control_stream(message)

    def _control_stream(self, message: wire.Grant | wire.Cancel) -> None:
        flow = self._flows.get(message.id)
        if flow is None:
            return  # the stream has just ended
        if isinstance(message, wire.Grant):
            flow.grant(message.size)
        else:
            flow.stop()

    def end(self, timeout: float | None) -> None:
        """Close all generators, and wait for their calls up to ``timeout`` seconds."""
        for flow in list(self._flows.values()):
            flow.stop()
        self._runner.join(timeout)

    def _run(self, call_id: int, call: ModelCall | list[ModelCall], flow: ThreadFlow) -> None:
        try:
            self._answering.answer(call_id, call, flow)
        except BaseException:
            # The answer cannot be sent. If only this job ended, the caller would wait for ever.
            traceback.print_exc()
            os._exit(BROKEN)
        finally:
            self._flows.pop(call_id, None)


def _receive_in_main_thread(connection: Connection, calls: _Overlapping) -> None:
    """Until the worker must end; the calls run in other threads."""
    while (received := connection.receive()) is not None:
        if isinstance(received[0], wire.Stop):
            return
        calls.take(*received)


def _receive_on_loop(connection: Connection, calls: _Overlapping, loop: CallLoop) -> None:
    """The same in the thread that runs the calls: each of two busy threads would often wait for Python's lock."""
    ended: Future[None] = Future()

    def readable() -> None:
        try:
            while (received := connection.receive(block=False)) is not None:
                if isinstance(received[0], wire.Stop):
                    break
                calls.take(*received)
            else:
                if not connection.at_end:
                    return
            loop.unwatch(connection)
            ended.set_result(None)
        except BaseException as error:
            # A call may be lost. The loop would only log it, and the caller would wait for ever.
            loop.unwatch(connection)
            ended.set_exception(error)

    loop.watch(connection, readable)
    ended.result()
