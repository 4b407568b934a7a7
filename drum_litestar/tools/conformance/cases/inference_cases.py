"""Inference with JSON bodies: answers, ids, requested outputs, parameters, forms of data."""

from __future__ import annotations

import json
import threading
from typing import Any, Final

from drum_litestar.tools.conformance.case import Case
from drum_litestar.tools.conformance.element_types import DATATYPES, sample
from drum_litestar.tools.conformance.http_target import HttpAnswer
from drum_litestar.tools.conformance.inference_answer import Inference, read_inference
from drum_litestar.tools.conformance.subject import Message, Subject
from drum_litestar.tools.conformance.tensor_values import Tensor, nested
from drum_litestar.tools.conformance.verdicts import FailedCheck, Level, NotApplicable, require

IDS: Final = ("42", "x" * 1000, 'quote " and \\ backslash')
UNICODE_ID: Final = "Größe ✓ \U0001f600"
UNKNOWN_OUTPUT: Final = "no-such-output"
MANY_ROWS: Final = 500
AT_ONCE: Final = 8


def same(subject: Subject, answer: HttpAnswer, what: str) -> Inference:
    """Read an answer that must be that of the valid request, if the model's answers repeat at all."""
    found = read_inference(answer)
    require(set(found.outputs) == set(subject.expected.outputs), f"{what}: other outputs: {', '.join(found.outputs)}")
    for name, tensor in subject.expected.outputs.items():
        if not tensor.same_values(found.outputs[name]) and _repeats(subject):
            raise FailedCheck(f"{what}: output {name!r} differs: {tensor.elements!r}, {found.outputs[name].elements!r}")
    return found


def _repeats(subject: Subject) -> bool:
    again = read_inference(subject.infer()).outputs
    return all(tensor.same_values(again[name]) for name, tensor in subject.expected.outputs.items())


def answer(subject: Subject) -> None:
    found = read_inference(subject.infer())
    name = found.fields["model_name"]
    require(name == subject.model, f"model_name is {name!r}")
    require(found.outputs, "no outputs")


def content_type(subject: Subject) -> None:
    subject.need_json()
    media = subject.infer().headers.get("content-type", "none")
    require(media.partition(";")[0].strip() == "application/json", f"Content-Type is {media}")


def no_nulls(subject: Subject) -> None:
    """Optional members of the answers that have no value."""
    found = [
        f"{name} of {where}"
        for where, got in (("the answer", subject.first), ("the metadata", subject.target.send("GET", subject.path)))
        for name in _nulls(got.json() if got.status == 200 and got.body[:1] == b"{" else {})
    ]
    require(not found, f"null: {', '.join(found)}")


def _nulls(described: Any) -> list[str]:
    if isinstance(described, list):
        return [name for each in described for name in _nulls(each)]
    if not isinstance(described, dict):
        return []
    return [name for name, value in described.items() if value is None] + [
        name for value in described.values() for name in _nulls(value)
    ]


def all_outputs(subject: Subject) -> None:
    subject.need_outputs()
    listed = [each["name"] for each in subject.metadata.get("outputs") or () if isinstance(each, dict)]
    if not listed:
        raise NotApplicable("the metadata list no outputs")
    for name in listed:
        subject.expected.output(name)


def flat_and_nested(subject: Subject) -> None:
    request = subject.request()
    if all(len(each.shape) < 2 for each in subject.inputs):
        raise NotApplicable("no input has two dimensions")
    for described, tensor in zip(request["inputs"], subject.inputs, strict=True):
        described["data"] = nested(tensor.elements, tensor.shape)
    same(subject, subject.infer_json(request), "nested data")


def _id_returns(subject: Subject, given: str) -> None:
    answer = subject.infer(id=given)
    require(answer.status == 200, f"id {given[:40]!r}: {answer}")
    got = read_inference(answer).fields.get("id")
    require(got == given, f"id {given[:40]!r} came back as {got!r:.60}")


def id_returns(subject: Subject) -> None:
    for given in IDS:
        _id_returns(subject, given)


def unicode_id(subject: Subject) -> None:
    _id_returns(subject, UNICODE_ID)


def no_version(subject: Subject) -> None:
    if subject.metadata.get("versions"):
        raise NotApplicable("the model has versions")
    version = subject.expected.fields.get("model_version")
    require(version is None, f"model_version is {version!r}, the metadata have no versions")


def each_output(subject: Subject) -> None:
    for name in subject.need_outputs():
        found = read_inference(subject.infer(outputs=[{"name": name}]))
        require(list(found.outputs) == [name], f"asked for {name!r}: {', '.join(found.outputs) or 'none'}")


def unknown_output(subject: Subject) -> None:
    got = subject.infer(outputs=[{"name": UNKNOWN_OUTPUT}])
    require(400 <= got.status < 500, f"{got}")


def no_output_named(subject: Subject) -> None:
    subject.need_outputs()
    got = subject.infer(outputs=[])
    require(400 <= got.status < 500 or set(read_inference(got).outputs) == set(subject.expected.outputs), f"{got}")


def output_twice(subject: Subject) -> None:
    name = subject.need_outputs()[0]
    got = subject.infer(outputs=[{"name": name}, {"name": name}])
    require(400 <= got.status < 500 or list(read_inference(got).outputs) == [name], f"{got}")


def unknown_parameters(subject: Subject) -> None:
    unknown = {"conformance_text": "x", "conformance_number": 1.5, "conformance_flag": True}
    parameters = {**subject.fields.get("parameters", {}), **unknown}
    inputs = [each._replace(parameters={**each.parameters, **unknown}) for each in subject.inputs]
    outputs = [{"name": name, "parameters": unknown} for name in subject.need_outputs()]
    same(subject, subject.infer(inputs, parameters=parameters, outputs=outputs), "unknown parameters")


def model_name_in_request(subject: Subject) -> None:
    same(subject, subject.infer(model_name=subject.model), "model_name in the request")


def no_content_type(subject: Subject) -> None:
    subject.need_json()
    same(subject, subject.send(subject.message()._replace(headers={})), "a request without Content-Type")


def chunked(subject: Subject) -> None:
    message = subject.message()
    half = len(message.body) // 2
    parts = (message.body[:half], message.body[half:])
    got = subject.target.send("POST", f"{subject.path}/infer", parts, message.headers)
    if got.status != 411:
        same(subject, got, "a chunked body")


def order_of_inputs(subject: Subject) -> None:
    if len(subject.inputs) < 2:
        raise NotApplicable("the model has one input")
    same(subject, subject.infer(tuple(reversed(subject.inputs))), "inputs in another order")


def with_rows(subject: Subject, rows: int) -> list[Tensor]:
    """The inputs with their first row ``rows`` times. Raises NotApplicable: first dimensions are not free."""
    free = {each["name"] for each in subject.metadata.get("inputs") or () if each.get("shape", [0])[:1] == [-1]}
    if not all(each.name in free and each.shape[:1] != (0,) for each in subject.inputs):
        raise NotApplicable("the first dimension is not free")
    return [
        each._replace(
            shape=(rows, *each.shape[1:]), elements=list(each.elements[: len(each.elements) // each.shape[0]]) * rows
        )
        for each in subject.inputs
    ]


def many_rows(subject: Subject) -> None:
    read_inference(subject.infer(with_rows(subject, MANY_ROWS)))


def no_rows(subject: Subject) -> None:
    got = subject.infer(with_rows(subject, 0))
    require(got.status == 200 or 400 <= got.status < 500, f"{got}")
    if got.status == 200:
        read_inference(got)


def datatypes(subject: Subject) -> None:
    subject.need_json()
    try_datatypes(subject, binary=False)


def try_datatypes(subject: Subject, *, binary: bool) -> None:
    """Ask with tensors of each datatype. A server may convert or refuse; it may not break. Raises FailedCheck."""
    problems = []
    for datatype in DATATYPES.values():
        changed = [
            each._replace(datatype=datatype, elements=sample(datatype, len(each.elements)), binary=binary)
            for each in subject.inputs
        ]
        got = subject.infer(changed)
        if got.status == 200:
            try:
                read_inference(got)
            except FailedCheck as problem:
                problems.append(f"{datatype.name}: {problem}")
        elif not 400 <= got.status < 500:
            problems.append(f"{datatype.name}: {got}")
    require(not problems, "; ".join(problems))


def own_answers(subject: Subject) -> None:
    """Requests at once on connections of their own, told apart by their ids."""
    got: dict[str, HttpAnswer] = {}
    targets = [subject.target.another() for _ in range(AT_ONCE)]
    messages = {f"request {number}": subject.message(id=f"request {number}") for number in range(AT_ONCE)}

    def send(name: str, message: Message, number: int) -> None:
        got[name] = targets[number].send("POST", f"{subject.path}/infer", message.body, message.headers)

    threads = [
        threading.Thread(target=send, args=(name, message, number))
        for number, (name, message) in enumerate(messages.items())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for target in targets:
        target.close()
    for name, each in got.items():
        found = same(subject, each, "requests at once")
        require(found.fields.get("id") == name, f"id {name!r} came back as {found.fields.get('id')!r}")


def escapes(subject: Subject) -> None:
    """JSON that means the same: escaped names, white space, members in another order."""
    request = subject.request()
    request["inputs"] = [dict(reversed(each.items())) for each in request["inputs"]]
    text = json.dumps(request, indent=3).replace('"shape"', '"\\u0073hape"').replace('"inputs"', '"\\u0069nputs"')
    headers = {"Content-Type": "application/json; charset=utf-8"}
    same(subject, subject.send(Message(f"\n {text}\n".encode(), headers)), "another spelling")


MUST, RECOMMENDED = Level.MUST, Level.RECOMMENDED
CASES: Final = (
    Case("infer/answer", MUST, "REST, Inference Response: model_name and outputs as described", answer),
    Case("infer/content-type", RECOMMENDED, "REST, examples: application/json", content_type),
    Case("infer/no-nulls", MUST, "REST, all objects: an optional member is left out; null is no $string", no_nulls),
    Case("infer/all-outputs", MUST, "REST, Inference Request: without outputs, all are returned", all_outputs),
    Case("infer/no-version", RECOMMENDED, "REST, Inference Response: model_version should not be given", no_version),
    Case("infer/flat-and-nested", MUST, "REST, Tensor Data: nested or flattened, row-major", flat_and_nested),
    Case("infer/another-spelling", MUST, "JSON: escapes, white space, order of members", escapes),
    Case("infer/id", MUST, "REST, Inference Request: the id must be returned", id_returns),
    Case(
        "infer/id-unicode",
        MUST,
        "REST, Inference Request: the id, any text, must be returned",
        unicode_id,
    ),
    Case("infer/at-once", MUST, "REST, Inference Request: each answer has its request's id", own_answers),
    Case("infer/requested-output", MUST, "REST, Request Output: requested outputs are returned", each_output),
    Case("infer/no-output-named", RECOMMENDED, "de facto: an empty list asks for all, or is refused", no_output_named),
    Case("infer/output-twice", RECOMMENDED, "de facto: is refused, or returned once", output_twice),
    Case("infer/unknown-output", RECOMMENDED, "de facto: is refused", unknown_output),
    Case("infer/unknown-parameters", RECOMMENDED, "de facto: parameters of others are ignored", unknown_parameters),
    Case("infer/model-name", RECOMMENDED, "binary extension, examples: model_name in a request", model_name_in_request),
    Case("infer/no-content-type", RECOMMENDED, "de facto: clients leave Content-Type out", no_content_type),
    Case("infer/chunked", RECOMMENDED, "HTTP: a chunked body is read, or 411", chunked),
    Case("infer/order-of-inputs", MUST, "REST, Request Input: inputs are named", order_of_inputs),
    Case("infer/many-rows", MUST, "REST, Model Metadata: -1 is a variable size", many_rows),
    Case("infer/no-rows", RECOMMENDED, "de facto: no rows are answered or refused", no_rows),
    Case("infer/datatypes", RECOMMENDED, "REST, Tensor Data: another datatype is converted or refused", datatypes),
)
