"""Health, metadata and readiness of the server and of its model."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from drum_litestar.tools.conformance.case import Case
from drum_litestar.tools.conformance.element_types import DATATYPES
from drum_litestar.tools.conformance.http_target import HttpAnswer
from drum_litestar.tools.conformance.subject import Subject
from drum_litestar.tools.conformance.verdicts import FailedCheck, Level, NotApplicable, require

UNKNOWN: Final = "no-such-model"
UNKNOWN_VERSION: Final = "987654321"
NO_VERSIONS: Final = "the metadata list no versions"


def _get(subject: Subject, path: str) -> HttpAnswer:
    answer = subject.target.send("GET", path)
    require(answer.status == 200, f"GET {path}: {answer}")
    return answer


def _object(answer: HttpAnswer) -> dict[str, Any]:
    found = answer.json()
    if not isinstance(found, dict):
        raise FailedCheck(f"no object: {answer}")
    return found


def _true(answer: HttpAnswer, name: str) -> None:
    require(answer.body, "the body is empty")
    require(_object(answer).get(name) is True, f"{name} is not true: {answer}")


def live(subject: Subject) -> None:
    _get(subject, "/v2/health/live")


def live_object(subject: Subject) -> None:
    _true(_get(subject, "/v2/health/live"), "live")


def ready(subject: Subject) -> None:
    _get(subject, "/v2/health/ready")


def ready_object(subject: Subject) -> None:
    """The specification's text says ``live`` here, its sentence and servers say ``ready``: either will do."""
    answer = _get(subject, "/v2/health/ready")
    require(answer.body, "the body is empty")
    found = _object(answer)
    require(found.get("ready", found.get("live")) is True, f"neither ready nor live is true: {answer}")


def server_metadata(subject: Subject) -> None:
    found = _object(_get(subject, "/v2"))
    for name in ("name", "version"):
        require(isinstance(found.get(name), str), f"{name} is no text: {found.get(name)!r}")
    extensions = found.get("extensions")
    require(
        isinstance(extensions, list) and all(isinstance(each, str) for each in extensions),
        f"extensions is no array of texts: {extensions!r}",
    )


def server_metadata_slash(subject: Subject) -> None:
    """A redirection to the path without the slash will do."""
    answer = subject.target.send("GET", "/v2/")
    moved = 300 < answer.status < 309 and answer.headers.get("location", "").endswith("/v2")
    require(moved or (answer.status == 200 and "name" in _object(answer)), f"GET /v2/: {answer}")


def model_metadata(subject: Subject) -> None:
    found = _object(_get(subject, subject.path))
    require(found.get("name") == subject.model, f"name is {found.get('name')!r}")
    require(isinstance(found.get("platform"), str), f"platform is no text: {found.get('platform')!r}")


def model_tensors(subject: Subject) -> None:
    found = _object(_get(subject, subject.path))
    for group in ("inputs", "outputs"):
        tensors = found.get(group)
        if not isinstance(tensors, list):
            raise FailedCheck(f"{group} is no array: {tensors!r}")
        for each in tensors:
            _metadata_tensor(group, each)


def _metadata_tensor(group: str, described: Any) -> None:
    require(isinstance(described, dict), f"{group}: {described!r} is no object")
    require(isinstance(described.get("name"), str), f"{group}: no name in {described!r}")
    datatype, shape = described.get("datatype"), described.get("shape")
    require(datatype in DATATYPES, f"{group}: datatype {datatype!r} is not in the specification")
    require(
        isinstance(shape, list) and all(type(size) is int and size >= -1 for size in shape),
        f"{group}: shape {shape!r} is no list of sizes and -1",
    )


def metadata_match_answer(subject: Subject) -> None:
    subject.need_outputs()
    listed = {each["name"]: each for each in subject.metadata.get("outputs") or () if isinstance(each, dict)}
    if not listed:
        raise NotApplicable("the metadata list no outputs")
    for name, tensor in subject.expected.outputs.items():
        require(name in listed, f"output {name!r} is not in the metadata")
        datatype, shape = listed[name].get("datatype"), listed[name].get("shape") or []
        require(datatype == tensor.datatype.name, f"{name}: {tensor.datatype.name}, the metadata say {datatype}")
        fits = len(shape) == len(tensor.shape) and all(
            size in (-1, real) for size, real in zip(shape, tensor.shape, strict=True)
        )
        require(fits, f"{name}: shape {list(tensor.shape)}, the metadata say {shape}")


def model_ready(subject: Subject) -> None:
    _get(subject, f"{subject.path}/ready")


def model_ready_object(subject: Subject) -> None:
    answer = _get(subject, f"{subject.path}/ready")
    _true(answer, "ready")
    require(_object(answer).get("name") == subject.model, f"name is not {subject.model!r}: {answer}")


def _versions(subject: Subject) -> list[str]:
    versions = [each for each in subject.metadata.get("versions") or () if isinstance(each, str)]
    if not versions:
        raise NotApplicable(NO_VERSIONS)
    return versions


def versions_list(subject: Subject) -> None:
    if subject.metadata.get("versions") is None:
        raise NotApplicable(NO_VERSIONS)
    versions = subject.metadata["versions"]
    require(
        isinstance(versions, list) and all(isinstance(each, str) for each in versions),
        f"versions is no array of texts: {versions!r}",
    )


def listed_versions(subject: Subject) -> None:
    for version in _versions(subject):
        path = f"{subject.path}/versions/{quote(version, safe='')}"
        _get(subject, path)
        _get(subject, f"{path}/ready")
        answer = subject.send(subject.message()._replace(path=f"{path}/infer"))
        require(answer.status == 200, f"version {version}: {answer}")


def _refused(answer: HttpAnswer, *statuses: int) -> None:
    require(answer.status >= 400, f"not refused: {answer}")
    if statuses:
        require(answer.status in statuses, f"{answer.status} instead of {' or '.join(map(str, statuses))}")
    else:
        require(not answer.error, answer.error)


def unknown_model(subject: Subject) -> None:
    _refused(subject.target.send("GET", f"/v2/models/{UNKNOWN}"))


def unknown_model_404(subject: Subject) -> None:
    _refused(subject.target.send("GET", f"/v2/models/{UNKNOWN}"), 404)


def unknown_model_ready(subject: Subject) -> None:
    _refused(subject.target.send("GET", f"/v2/models/{UNKNOWN}/ready"), 400, 404)


def unknown_model_infer(subject: Subject) -> None:
    _refused(subject.send(subject.message()._replace(path=f"/v2/models/{UNKNOWN}/infer")))


def unknown_model_infer_404(subject: Subject) -> None:
    _refused(subject.send(subject.message()._replace(path=f"/v2/models/{UNKNOWN}/infer")), 404)


def unknown_version(subject: Subject) -> None:
    _refused(subject.target.send("GET", f"{subject.path}/versions/{UNKNOWN_VERSION}"))
    _refused(subject.send(subject.message()._replace(path=f"{subject.path}/versions/{UNKNOWN_VERSION}/infer")))


def unknown_version_status(subject: Subject) -> None:
    path = f"{subject.path}/versions/{UNKNOWN_VERSION}"
    for answer in (
        subject.target.send("GET", path),
        subject.target.send("GET", f"{path}/ready"),
        subject.send(subject.message()._replace(path=f"{path}/infer")),
    ):
        _refused(answer, 400, 404, 501)


def wrong_methods(subject: Subject) -> None:
    for method, path in (("GET", f"{subject.path}/infer"), ("POST", subject.path), ("DELETE", "/v2/health/live")):
        answer = subject.target.send(method, path, b"" if method == "POST" else None)
        require(answer.status in (404, 405, 501), f"{method} {path}: {answer}")


def repository_index(subject: Subject) -> None:
    answer = subject.target.send("POST", "/v2/repository/index", b"{}", {"Content-Type": "application/json"})
    if answer.status in (404, 405, 501):
        raise NotApplicable("the server has no repository extension")
    require(answer.status == 200, f"{answer}")
    listed = answer.json()
    require(isinstance(listed, list), f"no array: {answer}")
    names = [each.get("name") for each in listed if isinstance(each, dict)]
    require(subject.model in names, f"{subject.model!r} is not listed: {answer}")


def statistics(subject: Subject) -> None:
    answer = subject.target.send("GET", f"{subject.path}/stats")
    if answer.status in (404, 405, 501):
        raise NotApplicable("the server has no statistics extension")
    require(answer.status == 200, f"{answer}")
    stats = _object(answer).get("model_stats")
    require(isinstance(stats, list) and stats, f"model_stats is no filled array: {answer}")


MUST, RECOMMENDED = Level.MUST, Level.RECOMMENDED
CASES: Final = (
    Case("server/live", MUST, "REST, Server Live: GET v2/health/live is 200", live),
    Case("server/live-object", RECOMMENDED, "REST, Server Live: an object, not in its OpenAPI text", live_object),
    Case("server/ready", MUST, "REST, Server Ready: GET v2/health/ready is 200", ready),
    Case("server/ready-object", RECOMMENDED, "REST, Server Ready: an object, not in its OpenAPI text", ready_object),
    Case("server/metadata", MUST, "REST, Server Metadata: name, version, extensions", server_metadata),
    Case("server/metadata-slash", RECOMMENDED, "REST's OpenAPI text: the path is /v2/", server_metadata_slash),
    Case("server/wrong-methods", RECOMMENDED, "HTTP: a method that a path does not have is 405", wrong_methods),
    Case("server/repository-index", RECOMMENDED, "model repository extension: the model is listed", repository_index),
    Case("model/metadata", MUST, "REST, Model Metadata: name, platform", model_metadata),
    Case("model/tensors", MUST, "REST, Model Metadata: inputs and outputs with name, datatype, shape", model_tensors),
    Case(
        "model/outputs-as-announced", MUST, "REST, Model Metadata: outputs are what the model produces",
        metadata_match_answer,
    ),
    Case("model/ready", MUST, "REST, Model Ready: GET .../ready is 200", model_ready),
    Case(
        "model/ready-object", RECOMMENDED, "REST, Model Ready: name and ready, not in its OpenAPI text",
        model_ready_object,
    ),
    Case("model/versions", MUST, "REST, Model Metadata: versions are texts", versions_list),
    Case("model/versions-served", MUST, "REST, Model Metadata: listed versions may be requested", listed_versions),
    Case("model/statistics", RECOMMENDED, "statistics extension: model_stats", statistics),
    Case("model/unknown", MUST, "REST, Model Metadata: a failure is an error status and object", unknown_model),
    Case("model/unknown-404", RECOMMENDED, "de facto: an unknown model is 404", unknown_model_404),
    Case("model/unknown-ready", RECOMMENDED, "de facto: an unknown model is 404 or 400", unknown_model_ready),
    Case("model/unknown-infer", MUST, "REST, Inference: a failure is an error status and object", unknown_model_infer),
    Case("model/unknown-infer-404", RECOMMENDED, "de facto: an unknown model is 404", unknown_model_infer_404),
    Case(
        "model/unknown-version", MUST, "REST, Model Metadata and Inference: a failure is an error status and object",
        unknown_version,
    ),
    Case(
        "model/unknown-version-status", RECOMMENDED, "de facto: an unknown version is 404, 400 or 501",
        unknown_version_status,
    ),
)  # fmt: skip
