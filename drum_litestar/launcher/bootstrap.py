"""Composition root: builds the parts of the server from a launch plan and runs it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from drum_litestar import __version__
from drum_litestar.console.console import Console
from drum_litestar.console.console_routes import CONSOLE_ROUTES
from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.executor import Executor
from drum_litestar.execution.observer import ExecutorObserver, observers
from drum_litestar.execution.queue_limits import Place, default_queue_depth
from drum_litestar.http.app_options import AppOptions, normalize_prefix
from drum_litestar.http.dispatcher import TableApp
from drum_litestar.http.openapi.documentation_pages import documentation_pages
from drum_litestar.http.routes import ROUTES
from drum_litestar.http.service import ModelService
from drum_litestar.http.spool import SpoolDirectory
from drum_litestar.launcher.announcements.announcer import Announcer
from drum_litestar.launcher.announcements.waiting_hint import WaitingHint
from drum_litestar.launcher.error_server import watch_load
from drum_litestar.launcher.executor_choice import failed_executor, make_executor
from drum_litestar.launcher.http_process_telemetry import HttpProcessTelemetry
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.launcher.preparation import (
    extended_app,
    prepare,
    with_extension,
    with_proxy,
    with_worker_python,
)
from drum_litestar.launcher.reloading.folder_watch import folder_watch
from drum_litestar.launcher.reloading.model_reload import ModelReload
from drum_litestar.launcher.shared_store import RedisRateLimitStore
from drum_litestar.launcher.worker_user import worker_uid
from drum_litestar.middleware.stack import StackOptions, build_stack
from drum_litestar.observability.logs.setup import WorkerOutput, configure_logging
from drum_litestar.protocols.all_routes import PROBE_ROUTES, PROTOCOL_ROUTES
from drum_litestar.route_table import RouteTable
from drum_litestar.server.descriptors import most_connections, raise_descriptor_limit
from drum_litestar.server.http.connection import make_protocol
from drum_litestar.server.probe_listener import ProbeListener
from drum_litestar.server.shutdown import ServerHandle
from drum_litestar.server.sockets import bind_sockets
from drum_litestar.server.uvicorn_options import uvicorn_options
from drum_litestar.server.uvicorn_server import CallListener, run_server
from drum_litestar.settings.groups.edge import AccessSettings, CorsSettings, RateLimitSettings
from drum_litestar.settings.groups.limits import ConnectionSettings
from drum_litestar.settings.masking import masked, set_secrets
from drum_litestar.settings.resolve import as_document

CONTRACT_DRUM_VERSION = "1.18.1"
"""The version that the contract describes; reported when datarobot-drum is not installed."""

GC_THRESHOLDS = (20_000, 20, 20)
"""Thresholds of ``gc.set_threshold``. Python's default of 700 causes several collections in each iteration of a busy
event loop, a tenth of its time, which find nothing: reference counts free the objects of a request."""

_log = logging.getLogger("drum")


def tune_garbage_collector(*, model_in_process: bool) -> None:
    """Exclude the objects that exist after start-up from garbage collection.

    A full collection would traverse them, for 50 ms and more in which no probe is answered. With a model in this
    process (``model_in_process``) the thresholds stay Python's own.
    """
    gc.collect()
    gc.freeze()
    if not model_in_process:
        gc.set_threshold(*GC_THRESHOLDS)


def drum_version() -> str:
    """Version of the installed datarobot-drum, read from its metadata without importing it (contract, 8)."""
    try:
        return metadata.version("datarobot-drum")
    except metadata.PackageNotFoundError:
        return CONTRACT_DRUM_VERSION


def serve(plan: LaunchPlan) -> int:
    """Serve until stopped; returns the exit code. Raises StartupError before the port is open."""
    plan = with_worker_python(plan)
    settings = plan.settings
    set_secrets(plan.spec.argv, os.environ)  # which now includes the runtime parameters' file
    uvicorn_kwargs = uvicorn_options(settings)
    sockets = bind_sockets(settings.listen.address.host, settings.listen.address.port)
    logs = configure_logging(
        plan.logging_level,
        json_lines=settings.log.json,
        server_level=settings.log.level,
        all_frames=plan.show_stacktrace,
    )
    server: Server | None = None
    probe_sockets: list[socket.socket] = []
    grpc_sockets: list[socket.socket] = []
    try:
        probe_address = settings.listen.probe_address
        if probe_address is not None:
            probe_sockets = bind_sockets(probe_address.host, probe_address.port)
        grpc_address = settings.listen.grpc_address
        if grpc_address is not None:
            grpc_sockets = bind_sockets(grpc_address.host, grpc_address.port)
        depth = settings.admission.queue_depth
        slots = settings.slots()
        shortage = raise_descriptor_limit(slots + (default_queue_depth(slots) if depth is None else depth))
        for notice in (*plan.notices, *((shortage,) if shortage else ())):
            notice.log()
        server = Server(plan, sockets, logs)
        listening = server.console.events.listening() if server.console is not None else nullcontext()
        with listening:
            code = run_server(
                server.application(),
                sockets=sockets,
                uvicorn_kwargs=uvicorn_kwargs,
                protocol=make_protocol(
                    header_timeout=settings.timeouts.header_timeout,
                    body_timeout=settings.timeouts.body_timeout,
                    max_head_size=settings.connections.max_head_size,
                    max_connections=settings.connections.max_connections or 0,
                    max_descriptors=most_connections(),
                    events=server.telemetry.connections,
                ),
                graceful_timeout=settings.timeouts.graceful_timeout,
                handshake_timeout=settings.timeouts.header_timeout,
                lame_duck=server.lame_duck,
                probes=server.probe_listener(probe_sockets) if probe_address is not None else None,
                calls=server.grpc_listener(grpc_sockets) if grpc_address is not None else None,
                on_started=server.started,
                on_drain=server.drain,
                on_stop=server.executor.shutdown,
                on_reload=server.model_reload.run,
            )
        _log.info("<<< Finish drum in the server mode")
        return code
    finally:
        for sock in (*sockets, *probe_sockets, *grpc_sockets):
            sock.close()
        logs.close()
        if server is not None and server.failure is not None:
            sys.stderr.write(f"ERROR: {server.failure}\n")  # after the last log record
            sys.stderr.flush()


def _console(plan: LaunchPlan) -> Console:
    python = plan.worker_python
    return Console(
        name=plan.spec.model_name,
        versions={
            "drum-litestar": __version__,
            "DRUM": drum_version(),
            **({"Python of the model": python.text_version} if python is not None else {}),
        },
        settings=[as_document(each) for each in plan.resolved],
        show_stacktrace=plan.show_stacktrace,
    )


class Server:
    """The parts of one running server, and their start, drain and stop."""

    def __init__(
        self,
        plan: LaunchPlan,
        sockets: Sequence[socket.socket],
        logs: WorkerOutput,
        observer: ExecutorObserver | None = None,
    ) -> None:
        """Without ``sockets`` somebody else listens. ``observer`` hears of the executor's calls, too.

        Raises ModelLoadError and StartupError."""
        prepared = prepare(plan)
        self.plan = plan = prepared.plan
        self.announcer = Announcer(plan, sockets, logs.show_status)
        self.extension = prepared.extension
        self.console = _console(plan) if plan.settings.has_console else None
        self.telemetry = HttpProcessTelemetry(
            plan.settings, show_perf=plan.show_perf, otel_disabled=plan.otel_disabled, console=self.console
        )
        self.executor: Executor = (
            make_executor(
                plan,
                observer=observers(observers(self.telemetry.observer, observer), self._waiting_hint()),
                tracing=self.telemetry.otel.tracing,
                forward_output=logs.forward,
                on_fatal=self._executor_failed,
            )
            if prepared.failure is None
            else failed_executor(prepared.failure)
        )
        limit = plan.settings.rate_limit
        self.rate_store = RedisRateLimitStore(limit.store) if limit.enabled and limit.store else None
        self.telemetry.attach(self.executor)
        self.model_reload = ModelReload(self.executor, plan, self.announcer, self.telemetry.model_loaded)
        self._folder_watch = folder_watch(plan.settings.model, Path(plan.spec.code_dir), self.model_reload.run)
        self.failure: ModelLoadError | None = None
        """The load failure that ended the server."""
        self.loaded: asyncio.Future[None] | None = None
        """Done when the first load has ended, well or not, and that has been said; set by :meth:`started`."""
        self._handle: ServerHandle | None = None
        self._tasks: set[asyncio.Future[Any]] = set()
        self._folder_watching: asyncio.Future[Any] | None = None

    def _waiting_hint(self) -> WaitingHint | None:
        """Only where another number of threads is neither ruled out nor already chosen."""
        settings = self.plan.settings
        if settings.model.executor != "pool" or settings.slots(2) == settings.slots(1):
            return None
        return WaitingHint(settings.workers.count, lambda: self.executor)

    @cached_property
    def _app_options(self) -> AppOptions:
        settings = self.plan.settings
        options = AppOptions(
            drum_version=drum_version(),
            server_version=__version__,
            info_server=settings.listen.info_server,
            model_name=self.plan.spec.model_name,
            protocol_routes=(
                *PROTOCOL_ROUTES,
                *(documentation_pages() if settings.listen.docs else ()),
                *(CONSOLE_ROUTES if self.console is not None else ()),
            ),
            url_prefix=normalize_prefix(settings.listen.url_prefix or ""),
            uploads=settings.uploads,
            spool_owner=worker_uid(settings.workers.user),
            enable_docs=settings.listen.docs,
            with_token=bool(settings.access.api_token),
            with_rate_limit=settings.rate_limit.enabled,
            graceful_timeout=settings.timeouts.graceful_timeout,
            leaving=lambda: self._handle is not None and self._handle.lame_duck,
            ready_queue=settings.admission.ready_queue,
            load_again=self.model_reload.requested if self.model_reload.possible else None,
        )
        options = self.telemetry.add_to(options)
        options = with_proxy(options, self.plan, self.telemetry.otel.tracing)
        if self.rate_store is not None:
            options = self.rate_store.add_to(options)
        return with_extension(options, self.extension)

    def application(self) -> Any:
        """The Litestar application inside the middleware stack."""
        options = self._app_options
        routes = RouteTable((*ROUTES, *options.protocol_routes), options.url_prefix)
        if self.console is not None:
            self.console.requests.set_routes(routes)
        return build_stack(
            self.telemetry.traced(extended_app(self.executor, options, self.extension)),
            self._stack_options(options),
            routes=routes,
            new_place=lambda: Place(self.executor.admit),
            shared_store=self.rate_store.store if self.rate_store else None,
            mask=masked,
            on_request_end=self.telemetry.request_ended,
            on_rejected=self.telemetry.refused,
        )

    def probe_listener(self, sockets: Sequence[socket.socket]) -> ProbeListener:
        """Probes and metrics on ``sockets``: nothing there refuses a request that is in the table."""
        options, settings = self._app_options, self.plan.settings
        routes = RouteTable(PROBE_ROUTES, options.url_prefix)
        app = build_stack(
            TableApp(ModelService(self.executor, options, SpoolDirectory(options.uploads.spool_dir)), routes),
            replace(
                self._stack_options(options),
                connections=ConnectionSettings(),
                rate_limit=RateLimitSettings(),
                cors=CorsSettings(),
                access=AccessSettings(),
            ),
            routes=routes,
            new_place=lambda: Place(self.executor.admit),
            mask=masked,
            on_request_end=self.telemetry.request_ended,
        )
        protocol = make_protocol(
            header_timeout=settings.timeouts.header_timeout, max_head_size=settings.connections.max_head_size
        )
        return ProbeListener(app, sockets, protocol, settings.timeouts.keep_alive)

    def grpc_listener(self, sockets: Sequence[socket.socket]) -> CallListener:
        """The protocol over gRPC on ``sockets``, as requests of a stack as the main port's.

        Raises MissingExtraError.
        """
        from drum_litestar.protocols.grpc_inference.grpc_port import make_grpc_listener

        return make_grpc_listener(
            self.executor,
            self._app_options,
            self._stack_options(self._app_options),
            traced=self.telemetry.traced,
            on_request_end=self.telemetry.request_ended,
            sockets=sockets,
            tls=self.plan.settings.tls,
            shared_store=self.rate_store.store if self.rate_store else None,
        )

    def _stack_options(self, options: AppOptions) -> StackOptions:
        settings = self.plan.settings
        return StackOptions(
            drum_version=options.drum_version,
            server_version=options.server_version,
            uploads=settings.uploads,
            timeouts=settings.timeouts,
            connections=settings.connections,
            rate_limit=settings.rate_limit,
            cors=settings.cors,
            answers=settings.answers,
            access=settings.access,
            log=settings.log,
            show_stacktrace=self.plan.show_stacktrace,
        )

    async def started(self, handle: ServerHandle) -> None:
        """Start waiting for the model, in a task of its own, once the port is open."""
        self._handle = handle
        self.loaded = self._spawn(self._watch(handle))
        if self._folder_watch is not None:
            self._folder_watching = self._spawn(self._folder_watch.run(self.executor.wait_started()))

    async def _watch(self, handle: ServerHandle) -> None:
        with self.announcer.loading() as elapsed:
            self.failure = await watch_load(self.executor, error_server=self.plan.with_error_server)
        seconds = elapsed()
        if self.failure is not None:
            handle.stop(self.failure.exit_code)
            return
        card = self.executor.card
        if card is not None:
            self.telemetry.model_loaded(card)
            if card.description:
                _log.info("%s", card.description)
            for text in card.warnings:
                _log.warning("%s", text)
        tune_garbage_collector(model_in_process=self.plan.settings.model.executor != "pool")
        if card is not None and not handle.stopping and not handle.lame_duck:
            await self.announcer.ready(self.executor, card, seconds)

    def _executor_failed(self, failure: ModelLoadError) -> None:
        """Stop the server after the executor gave up (crash loop, death policy), so that an orchestrator notices."""
        _log.error("%s", failure)
        if self._handle is not None and not self.plan.with_error_server:
            self._handle.stop(failure.exit_code)

    def lame_duck(self) -> float:
        """Seconds from a SIGTERM now to the stop: none before the model is loaded, as no balancer sends calls yet."""
        return self.plan.settings.timeouts.lame_duck if self.executor.card is not None else 0.0

    def drain(self) -> None:
        """Set readiness to 503 at once; admitted calls continue."""
        self.announcer.quiet()
        if self.console is not None:
            self.console.feed.close()
        if self._folder_watching is not None:
            self._folder_watching.cancel()
        self._spawn(self.executor.shutdown(self.plan.settings.timeouts.graceful_timeout))

    def _spawn(self, work: Awaitable[Any]) -> asyncio.Future[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
