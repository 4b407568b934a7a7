"""Preparation of the plan: the workers' interpreter, the predictor, and the folder's extension."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from drum_litestar.errors import ModelLoadError, StartupError
from drum_litestar.execution.executor import Executor
from drum_litestar.extensions import ASGIApp, Extension, load_extension
from drum_litestar.http.app import build_app
from drum_litestar.http.app_options import AnyRequest, AnyResponse, AppOptions
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.launcher.predictor_choice import choose_predictor, unreadable
from drum_litestar.launcher.worker_interpreter import probe_configured
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.predictors.folder.metadata import read_metadata
from drum_litestar.predictors.spec import PredictorSpec

if TYPE_CHECKING:
    from drum_litestar.http.direct_access_proxy import DirectAccessProxy

_log = logging.getLogger("drum")


class Prepared(NamedTuple):
    """The plan with its predictor chosen, and the extension. With ``failure`` the model is not loaded."""

    plan: LaunchPlan
    extension: Extension | None = None
    failure: ModelLoadError | None = None


def with_worker_python(plan: LaunchPlan) -> LaunchPlan:
    """Add the probed interpreter of ``DRUM_WORKER_PYTHON`` to ``plan``, where one is set.

    Raises StartupError, one line, when workers could not run there.
    """
    python = probe_configured(plan.settings.workers)
    if python is None:
        return plan
    python.require()
    return msgspec.structs.replace(plan, worker_python=python)


def worker_spec(plan: LaunchPlan) -> PredictorSpec:
    """Make the spec for new workers. Reads ``model-metadata.yaml`` for an interpreter that has no parser for it.

    Raises ModelLoadError.
    """
    python = plan.worker_python
    if python is None or python.has_module("strictyaml"):
        return plan.spec
    return msgspec.structs.replace(plan.spec, metadata=read_metadata(Path(plan.spec.code_dir)))


def with_predictor(plan: LaunchPlan) -> LaunchPlan:
    """Choose the predictor of ``plan``. Raises ModelLoadError."""
    try:
        choice = choose_predictor(plan.spec, plan.predictor, plan.worker_python)
        spec = worker_spec(plan)
    except OSError as error:
        raise unreadable(plan.spec.code_dir, error) from None
    _log.info("Predictor: %s", choice)
    if plan.worker_python is not None:
        _log.info("Model workers run in %s (Python %s)", plan.worker_python.executable, plan.worker_python.text_version)
    return msgspec.structs.replace(
        plan, spec=msgspec.structs.replace(spec, kind=choice.kind, kind_reason=choice.reason)
    )


def prepare(plan: LaunchPlan) -> Prepared:
    """Choose the predictor and load ``custom_litestar.py``.

    Raises ModelLoadError; with an error server the error is returned as ``failure``, which the routes answer with.
    """
    try:
        chosen = with_predictor(plan)
        try:
            extension = load_extension(Path(plan.spec.code_dir))
        except OSError as error:
            raise unreadable(plan.spec.code_dir, error) from None
    except ModelLoadError as error:
        if plan.with_error_server:
            return Prepared(plan, failure=error)
        if error.detail:
            _log.error("The server cannot start", extra={"traceback": error.detail})
        raise
    return Prepared(chosen, extension)


def with_extension(options: AppOptions, extension: Extension | None) -> AppOptions:
    """``options`` with what the extension adds; its shutdown hooks run before those that are there."""
    if extension is None:
        return options
    return replace(
        options,
        route_handlers=(*options.route_handlers, *extension.route_handlers),
        on_app_init=(*options.on_app_init, *extension.on_app_init),
        on_startup=(*options.on_startup, *extension.on_startup),
        on_shutdown=(*options.on_shutdown, *extension.on_shutdown),
    )


def extended_app(executor: Executor, options: AppOptions, extension: Extension | None) -> ASGIApp:
    """Build the application inside the extension's middleware.

    Raises ModelLoadError, with the file's name, for an extension that Litestar rejects; StartupError as ``build_app``.
    """
    if extension is None:
        return build_app(executor, options)
    try:
        return extension.wrap(build_app(executor, options))
    except StartupError:
        raise
    except Exception as error:
        raise extension.failure(error) from error


def with_proxy(options: AppOptions, plan: LaunchPlan, tracing: Tracing) -> AppOptions:
    """``options`` with the proxy of ``/directAccess/``; without httpx there is none, and the route answers 501."""
    if find_spec("httpx") is None:
        return options
    proxy = LateProxy(timeout=plan.direct_access_timeout, url_prefix=options.url_prefix, tracing=tracing)
    return replace(options, direct_access=proxy, on_shutdown=(*options.on_shutdown, proxy.aclose))


class LateProxy:
    """A :class:`DirectAccessProxy` that is imported at the first call, on a thread.

    httpx is a sixth of what the HTTP process would import at its start, and most models have no LLM server.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._made: asyncio.Future[DirectAccessProxy] | None = None

    async def __call__(self, request: AnyRequest, base_url: str) -> AnyResponse:
        """Forward ``request``, as the proxy does."""
        if self._made is None:
            self._made = asyncio.ensure_future(asyncio.to_thread(self._make))
        proxy = await asyncio.shield(self._made)  # another call may wait for it, too
        return await proxy(request, base_url)

    def _make(self) -> DirectAccessProxy:
        from drum_litestar.http.direct_access_proxy import DirectAccessProxy

        return DirectAccessProxy(**self._options)

    async def aclose(self, _: object = None) -> None:
        """Close the proxy, if there is one."""
        if self._made is not None:
            await (await self._made).aclose()
