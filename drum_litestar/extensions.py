"""``custom_litestar.py``: a model folder's extension of the HTTP application.

Replaces DRUM's ``custom_flask.py`` (contract, 5.7). The file runs in the HTTP process, on the event loop that answers
every request: it must not block, and must not load the model or pandas.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from drum_litestar.documentation import MIGRATING
from drum_litestar.errors import ModelLoadError
from drum_litestar.tracebacks import format_exception

if TYPE_CHECKING:
    from litestar.config.app import AppConfig
    from litestar.types import ControllerRouterHandler, ExceptionHandler, Guard, Middleware

    from drum_litestar.context import WorkerContext

FILE = "custom_litestar.py"
FLASK_FILE = "custom_flask.py"
FASTAPI_FILE = "custom_fastapi.py"

ASGIApp = Callable[..., Awaitable[None]]
F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger("drum")


class AppBuilder:
    """Argument of ``init_app(app_builder)``. Handlers are Litestar's own; each method may be called repeatedly.

    The methods that take one function return it, so they also work as decorators.
    """

    def __init__(self, code_dir: Path) -> None:
        self.code_dir = code_dir
        """The model folder."""
        self._routes: list[ControllerRouterHandler] = []
        self._middleware: list[Middleware] = []
        self._wrappers: list[Callable[[ASGIApp], ASGIApp]] = []
        self._guards: list[Guard] = []
        self._exception_handlers: dict[int | type[Exception], ExceptionHandler[Any]] = {}
        self._before_request: list[Callable[..., Any]] = []
        self._after_request: list[Callable[..., Any]] = []
        self._on_startup: list[Callable[[WorkerContext], Any]] = []
        self._on_shutdown: list[Callable[[WorkerContext], Any]] = []
        self._on_app_init: list[Callable[[AppConfig], AppConfig]] = []

    def add_routes(self, *handlers: ControllerRouterHandler) -> None:
        """Add route handlers, controllers or routers, served under ``URL_PREFIX`` like the built-in routes."""
        self._routes.extend(handlers)

    def add_middleware(self, *middleware: Middleware) -> None:
        """Add Litestar middleware. It runs for requests that match a route; :meth:`wrap_app` covers all requests."""
        self._middleware.extend(middleware)

    def wrap_app(self, wrapper: Callable[[ASGIApp], ASGIApp]) -> None:
        """Put pure ASGI middleware around the whole application: it sees 404 and 405 too. The first is outermost.

        It runs inside the server's own middleware, so it has the request id and never gets rejected requests.
        """
        self._wrappers.append(wrapper)

    def add_guard(self, *guards: Guard) -> None:
        """Add guards to every route, built-in routes and probes included."""
        self._guards.extend(guards)

    def add_exception_handler(self, kind: int | type[Exception], handler: ExceptionHandler[Any]) -> None:
        """Register ``handler(request, error) -> Response`` for a status code or an exception class."""
        self._exception_handlers[kind] = handler

    def before_request(self, function: F) -> F:
        """Call ``function(request)`` before each matched route, in the order added; a result other than None is the
        response."""
        self._before_request.append(function)
        return function

    def after_request(self, function: F) -> F:
        """Call ``function(response) -> response`` after each route that answered, the last added first, as Flask does.

        Responses to exceptions are not passed to it; see :meth:`wrap_app` for those.
        """
        self._after_request.append(function)
        return function

    def on_startup(self, function: F) -> F:
        """Call ``function(context)`` when the server starts, before the model is loaded.

        ``context`` is a :class:`drum_litestar.context.WorkerContext`, which takes callbacks, threads and tasks.
        """
        self._on_startup.append(function)
        return function

    def on_shutdown(self, function: F) -> F:
        """Call ``function(context)`` after the server and the model have stopped, the last added first."""
        self._on_shutdown.append(function)
        return function

    def on_app_init(self, function: F) -> F:
        """Add Litestar's hook ``function(config) -> config``, for everything that has no method here."""
        self._on_app_init.append(function)
        return function


class Extension:
    """The extension of one model folder."""

    def __init__(self, path: Path, builder: AppBuilder) -> None:
        self.path = path
        self._builder = builder

    @property
    def route_handlers(self) -> tuple[ControllerRouterHandler, ...]:
        """Further routes."""
        return tuple(self._builder._routes)

    @property
    def on_app_init(self) -> tuple[Callable[[AppConfig], AppConfig], ...]:
        """Change the application before it is built."""
        return (self._apply, *self._builder._on_app_init)

    @property
    def on_startup(self) -> tuple[Callable[[WorkerContext], Any], ...]:
        """In order."""
        return tuple(self._builder._on_startup)

    @property
    def on_shutdown(self) -> tuple[Callable[[WorkerContext], Any], ...]:
        """In the order in which they were added; the last one runs first."""
        return tuple(self._builder._on_shutdown)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Wrap ``app`` into the extension's ASGI middleware."""
        for wrapper in reversed(self._builder._wrappers):
            app = wrapper(app)
        return app

    def failure(self, error: Exception) -> ModelLoadError:
        """Convert ``error``, which the extension caused while the application was built, into a start-up error."""
        return _failure(self.path, error)

    def _apply(self, config: AppConfig) -> AppConfig:
        builder = self._builder
        config.middleware = [*config.middleware, *builder._middleware]
        config.guards = [*config.guards, *builder._guards]
        config.exception_handlers = {**config.exception_handlers, **builder._exception_handlers}
        if builder._before_request:
            config.before_request = _first_response(builder._before_request)
        if builder._after_request:
            config.after_request = _chained(builder._after_request[::-1])
        return config


def load_extension(code_dir: Path) -> Extension | None:
    """Import the folder's ``custom_litestar.py`` and run its ``init_app``; None without such a file.

    Searched for anywhere below ``code_dir``, as DRUM does for ``custom_flask.py``; the file's directory is put first on
    ``sys.path``. Raises ModelLoadError for several files, for one that cannot be imported or used, and for a folder
    with only a ``custom_flask.py``, whose access control would silently be missing.
    """
    path = _find(code_dir, FILE)
    _report_others(code_dir)
    if path is None:
        return None
    logger.info("Detected %s .. trying to extend the application", path)
    builder = AppBuilder(code_dir)
    try:
        result = _init_app(_import(path))(builder)
    except Exception as error:
        raise _failure(path, error) from error
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise ModelLoadError(f"{path}: init_app(app_builder) must be a plain function, not an asynchronous one")
    return Extension(path, builder)


def extension_files(code_dir: Path, name: str) -> list[Path]:
    """List the files called ``name`` anywhere below ``code_dir``; empty for a missing folder."""
    return sorted(path for path in code_dir.rglob(name) if path.is_file())


def needs_flask(code_dir: Path) -> bool:
    """Whether only DRUM's own server can load the folder: it has ``custom_flask.py`` and no ``custom_litestar.py``."""
    return bool(extension_files(code_dir, FLASK_FILE)) and not extension_files(code_dir, FILE)


def _find(code_dir: Path, name: str) -> Path | None:
    found = extension_files(code_dir, name)
    if len(found) > 1:
        raise ModelLoadError(f"Found too many custom hook files: {found}")
    return found[0] if found else None


def _report_others(code_dir: Path) -> None:
    if extension_files(code_dir, FASTAPI_FILE):
        logger.warning("%s is not supported and not loaded. How to migrate it to %s: %s", FASTAPI_FILE, FILE, MIGRATING)
    if needs_flask(code_dir):
        raise ModelLoadError(
            f"{code_dir} holds {FLASK_FILE}, which only DRUM's own server can load, and no {FILE}. Migrate it "
            f"({MIGRATING}), or serve the folder with 'drum server', which uses DRUM's own server for it."
        )
    if extension_files(code_dir, FLASK_FILE):
        logger.info("%s is not loaded: %s takes its place", FLASK_FILE, FILE)


def _import(path: Path) -> ModuleType:
    directory = str(path.parent)
    if sys.path[:1] != [directory]:
        sys.path.insert(0, directory)
    sys.modules.pop(path.stem, None)  # one of another folder, from an earlier start in this process
    importlib.invalidate_caches()
    return importlib.import_module(path.stem)


def _init_app(module: ModuleType) -> Callable[[AppBuilder], Any]:
    function = getattr(module, "init_app", None)
    if not callable(function):
        raise TypeError("it must define a function init_app(app_builder)")
    return function  # type: ignore[no-any-return]


def _failure(path: Path, error: Exception) -> ModelLoadError:
    text = f"{error}" if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
    detail = format_exception(error)
    return ModelLoadError(f"Failed to extend the application from [{path}] : {text}", detail=detail)


async def _resolved(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _first_response(functions: list[Callable[..., Any]]) -> Callable[[Any], Awaitable[Any]]:
    async def before_request(request: Any) -> Any:
        for function in functions:
            response = await _resolved(function(request))
            if response is not None:
                return response
        return None

    return before_request


def _chained(functions: list[Callable[..., Any]]) -> Callable[[Any], Awaitable[Any]]:
    async def after_request(response: Any) -> Any:
        for function in functions:
            response = await _resolved(function(response))
        return response

    return after_request
