"""Options of the HTTP application: a group of settings, scalars and callables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from litestar import Request, Response
from litestar.config.app import AppConfig
from litestar.types import ControllerRouterHandler

from drum_litestar.context import WorkerContext
from drum_litestar.errors import RequestError, StartupError
from drum_litestar.predictors.protocol import CallKind, ModelCall, Reply
from drum_litestar.request_state import RequestState
from drum_litestar.route_table import Route
from drum_litestar.settings.groups.limits import TimeoutSettings, UploadSettings

AnyRequest: TypeAlias = Request[Any, Any, Any]
AnyResponse: TypeAlias = Response[Any]

LifespanHook: TypeAlias = Callable[[WorkerContext], Awaitable[None] | None]


class CallConsole(Protocol):
    """What the console wants of the calls of the model (:class:`drum_litestar.console.console.Console`)."""

    def noted(self, call: ModelCall, headers: Iterable[tuple[bytes, bytes]]) -> ModelCall:
        """``call`` with a mark for what its answer shall tell besides; ``headers`` are the request's."""

    def call_failed(self, request: RequestState, status: int, answer: Reply | RequestError) -> None:
        """The request is answered with ``status``, 500 or above."""


@dataclass(frozen=True, kw_only=True)
class AppOptions:
    """Everything the application needs besides the executor."""

    drum_version: str
    """``drumVersion`` of ``/info/`` (contract, 8)."""
    server_version: str
    """Version of drum-litestar, for the OpenAPI document."""
    info_server: str = "litestar"
    """``drumServer`` of ``/info/``."""
    model_name: str = "model"
    """In the paths of the Open Inference Protocol."""
    protocol_routes: tuple[Route, ...] = ()
    """Routes of further protocols, served beside DRUM's."""
    url_prefix: str = ""
    """``URL_PREFIX`` as the operator wrote it; see :func:`normalize_prefix`."""
    uploads: UploadSettings = UploadSettings()
    spool_owner: int | None = None
    """User id that must be able to read spool files, when model workers run as another user."""
    enable_docs: bool = False
    """Serve the OpenAPI document."""
    with_token: bool = False
    """The middleware asks for a token. For the document, as is the next one."""
    with_rate_limit: bool = False
    graceful_timeout: float = TimeoutSettings().graceful_timeout
    """Seconds in which running calls may end at shutdown."""
    leaving: Callable[[], bool] = bool
    """Whether a stop has been announced: readiness says 503, and calls are served."""
    ready_queue: float | None = None
    """Share of the queue, above 0 and at most 1; while as much is taken, readiness says 503."""
    stats: Callable[[], Awaitable[dict[str, Any]]] | None = None
    """Body of ``/stats/``; None shows the executor's counters alone."""
    inference_stats: Callable[[], dict[str, Any]] | None = None
    """What the statistics extension of the Open Inference Protocol says; None answers 501."""
    load_again: Callable[[], Awaitable[None]] | None = None
    """Loads the model folder again; raises ModelLoadError. None answers 501."""
    metrics: Callable[[], tuple[bytes, str]] | None = None
    """Exposition bytes and their content type; None answers 501."""
    direct_access: Callable[[AnyRequest, str], Awaitable[AnyResponse]] | None = None
    """Proxies a request to the OpenAI-compatible server at the given base URL; None answers 501."""
    route_handlers: tuple[ControllerRouterHandler, ...] = ()
    """Routes of extensions, served under the same prefix and with the same rules as our own."""
    on_app_init: tuple[Callable[[AppConfig], AppConfig], ...] = ()
    """Litestar's hooks that change the application before it is built."""
    on_startup: tuple[LifespanHook, ...] = ()
    """Run in order before the model starts to load."""
    on_shutdown: tuple[LifespanHook, ...] = ()
    """Run after the model has stopped, the last one first; a failing one does not skip the rest."""
    on_routes: Callable[[Iterable[str]], None] | None = None
    """Called with the templates of all routes once they are known."""
    on_rejected: Callable[[str], None] | None = None
    """Called with ``form_too_large`` when the application refuses a form; the middleware reports its own refusals."""
    console: CallConsole | None = None
    on_observe: Callable[[CallKind, int, float], None] | None = None
    """Called for each model call when its answer is known: kind, status (499: the client left), seconds."""


def normalize_prefix(prefix: str) -> str:
    """Return ``URL_PREFIX`` without trailing and repeated slashes; empty for none or ``/``.

    Raises StartupError for a prefix without leading slash, with DRUM's text (contract, 3.1), and for one with braces,
    which would be a path pattern.
    """
    if prefix and not prefix.startswith("/"):
        raise StartupError(f"URL rule '{prefix.rstrip('/')}/ping/' must start with a slash.")
    if "{" in prefix or "}" in prefix:
        raise StartupError(f"URL_PREFIX must not contain braces: '{prefix}'")
    segments = [segment for segment in prefix.split("/") if segment]
    return "".join(f"/{segment}" for segment in segments)
