"""The OpenAPI document, made of the table of routes, the model's card and the Structs of the bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from litestar.enums import OpenAPIMediaType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin

from drum_litestar.http.app_options import AnyRequest, normalize_prefix
from drum_litestar.http.openapi.error_answers import error_answers, needs_token
from drum_litestar.http.openapi.operation import Operation, Subject
from drum_litestar.http.service import ModelService
from drum_litestar.predictors.protocol import ModelCard
from drum_litestar.route_table import REST, Route

TITLE: Final = "drum-litestar"
PATH: Final = "/docs/openapi.json"
_REFERENCE: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"{(\w+)(?::\w+)?}")
_MODEL, _VERSION, _ANY = "model", "version", "rest"

SECURITY: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "The API token."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The API token."},
}


def document_config(service: ModelService, routes: Iterable[Route]) -> OpenAPIConfig:
    """Litestar's configuration: it describes the routes of extensions, and the plugin adds ours, ``routes``."""
    return OpenAPIConfig(
        title=TITLE,
        version=service.options.server_version,
        path=PATH,
        render_plugins=[DocumentPlugin(service, tuple(routes))],
    )


class DocumentPlugin(OpenAPIRenderPlugin):
    """Answers with the document, at the only path that Litestar has for it."""

    def __init__(self, service: ModelService, routes: tuple[Route, ...]) -> None:
        super().__init__(path="/", media_type=OpenAPIMediaType.OPENAPI_JSON)
        self._service = service
        self._routes = routes
        self._made: tuple[ModelCard, bytes] | None = None

    def has_path(self, path: str) -> bool:
        """Every path, so that Litestar adds none of its own."""
        return True

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        """The document of the model that is loaded now. Raises ModelNotReadyError and ModelFailedError."""
        card = self._service.card()
        if self._made is None or self._made[0] is not card:
            made = document(Subject(card, self._service.options), self._routes, openapi_schema)
            self._made = (card, msgspec.json.encode(made))
        return self._made[1]


def document(subject: Subject, routes: Iterable[Route], extension: Mapping[str, Any]) -> dict[str, Any]:
    """The document of ``routes``, and of those in Litestar's document ``extension``."""
    prefix = normalize_prefix(subject.options.url_prefix)
    paths: dict[str, Any] = {}
    for route in routes:
        if isinstance(route.operation, Operation) and route.operation.offered(subject):
            _add_route(paths, route, route.operation, subject)
    structs: dict[str, Any] = {}
    paths = _with_references(paths, structs)
    schemas = msgspec.json.schema_components(structs.values(), ref_template=_REFERENCE)[1]
    renamed = {_REFERENCE.format(name=name): _REFERENCE.format(name=f"Extension{name}") for name in schemas}
    for path, item in _renamed(extension.get("paths") or {}, renamed).items():
        shown = path.removeprefix(prefix) or "/"
        paths[shown] = {**item, **paths.get(shown, {})}
    for name, schema in ((extension.get("components") or {}).get("schemas") or {}).items():
        schemas[f"Extension{name}" if name in schemas else name] = _renamed(schema, renamed)
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": subject.options.server_version,
            "description": _description(subject),
        },
        "servers": [{"url": prefix or "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas},
    }
    if subject.options.with_token:
        made["components"]["securitySchemes"] = SECURITY
        made["security"] = [{name: []} for name in SECURITY]
    return made


def _description(subject: Subject) -> str:
    served = f"Model `{subject.options.model_name}`, target type {subject.card.target_type.value}"
    return f"{served}. Every path also answers with a slash at its end."


def _add_route(paths: dict[str, Any], route: Route, operation: Operation, subject: Subject) -> None:
    for path in route.paths:
        names = _PARAMETER.findall(path)
        if _VERSION in names:  # a model has no versions: 501
            continue
        for method in route.methods:
            shown = _PARAMETER.sub(r"{\1}", path) + (operation.post_end if method == "POST" else "")
            described = _operation(route, operation, method, subject)
            described["operationId"] = operation_id(route, path, method)
            parameters = [*(_path_parameter(name, subject) for name in names), *operation.parameters]
            if parameters:
                described["parameters"] = parameters
            paths.setdefault(shown, {})[method.lower()] = described


def _operation(route: Route, operation: Operation, method: str, subject: Subject) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "The answer."}
    if method != "HEAD":
        answer["content"] = operation.answer(subject)
    described: dict[str, Any] = {"tags": [route.tag], "summary": route.summary}
    if operation.description:
        described["description"] = operation.description
    if operation.body is not None and method in ("POST", "PUT"):
        described["requestBody"] = {"required": operation.body_is_required, "content": operation.body(subject)}
    errors = error_answers(route, method, operation, subject)
    if method == "HEAD":
        errors = {status: {"description": error["description"]} for status, error in errors.items()}
    described["responses"] = {"200": answer, **errors}
    if subject.options.with_token and not needs_token(route, subject):
        described["security"] = []
    return described


def _path_parameter(name: str, subject: Subject) -> dict[str, Any]:
    schema = {"type": "string", "enum": [subject.options.model_name]} if name == _MODEL else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def operation_id(route: Route, path: str, method: str) -> str:
    """The name that generators of clients make theirs from: path, method if there are several, endpoint."""
    segments = [_ANY if segment == REST else segment for segment in path.split("/")]
    words = [segment for segment in segments if "{" not in segment]
    words += [method] if len(route.methods) > 1 else []
    return "".join(word.title().replace("_", "") for word in [*words, route.answer.__name__])


def _renamed(value: Any, references: Mapping[str, str]) -> Any:
    """``value``, of an extension's document, with other references for schemas that have a name of ours."""
    if isinstance(value, dict):
        return {key: _renamed(item, references) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, references) for item in value]
    return references.get(value, value) if isinstance(value, str) else value


def _with_references(value: Any, structs: dict[str, Any]) -> Any:
    """``value`` with a reference in the place of each Struct, which is added to ``structs`` by its name."""
    if isinstance(value, dict):
        return {key: _with_references(item, structs) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_references(item, structs) for item in value]
    if isinstance(value, type):
        structs[value.__name__] = value
        return {"$ref": _REFERENCE.format(name=value.__name__)}
    return value
