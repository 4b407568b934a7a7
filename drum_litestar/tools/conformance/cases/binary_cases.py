"""The binary tensor data extension, both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from drum_litestar.tools.conformance.case import Case
from drum_litestar.tools.conformance.cases.inference_cases import same, try_datatypes, with_rows
from drum_litestar.tools.conformance.http_target import HttpAnswer
from drum_litestar.tools.conformance.inference_answer import HEADER_LENGTH, Inference, read_inference
from drum_litestar.tools.conformance.subject import Message, Subject
from drum_litestar.tools.conformance.verdicts import Level, NotApplicable, require

MANY_ROWS: Final = 2000


def announced(subject: Subject) -> None:
    subject.need_binary()
    require(
        "binary_tensor_data" in subject.extensions, f"extensions: {', '.join(sorted(subject.extensions)) or 'none'}"
    )


def inputs(subject: Subject) -> None:
    subject.need_binary()
    same(subject, subject.infer(subject.binary_inputs()), "binary inputs")


def one_of_several(subject: Subject) -> None:
    subject.need_binary()
    subject.need_json()
    if len(subject.inputs) < 2:
        raise NotApplicable("the model has one input")
    for at in (0, len(subject.inputs) - 1):
        mixed = [each._replace(binary=number == at) for number, each in enumerate(subject.inputs)]
        same(subject, subject.infer(mixed), f"only input {subject.inputs[at].name!r} in binary")


def reversed_inputs(subject: Subject) -> None:
    subject.need_binary()
    if len(subject.inputs) < 2:
        raise NotApplicable("the model has one input")
    same(subject, subject.infer(subject.binary_inputs()[::-1]), "inputs in another order")


def _ask(subject: Subject, binary: Mapping[str, bool | None], for_all: bool | None = None) -> Inference:
    """Ask for each output of ``binary`` with that ``binary_data``, and for all of them with ``binary_data_output``."""
    fields: dict[str, Any] = {}
    if binary:
        fields["outputs"] = [
            {"name": name} if value is None else {"name": name, "parameters": {"binary_data": value}}
            for name, value in binary.items()
        ]
    if for_all is not None:
        fields["parameters"] = {**subject.fields.get("parameters", {}), "binary_data_output": for_all}
    return same(subject, subject.infer(**fields), "outputs asked for in a form")


def _form(found: Inference, binary: Mapping[str, bool]) -> None:
    for name, wanted in binary.items():
        form = "binary" if wanted else "JSON"
        require(found.output(name).binary == wanted, f"output {name!r} is not {form}")


def _json_form(subject: Subject) -> None:
    """Raises NotApplicable: an output cannot be JSON."""
    for name in subject.need_outputs():
        if subject.expected.outputs[name].datatype.name == "FP16":
            raise NotApplicable(f"output {name!r} is FP16, which JSON does not carry")


def outputs_true(subject: Subject) -> None:
    subject.need_binary()
    names = subject.need_outputs()
    _form(_ask(subject, dict.fromkeys(names, True)), dict.fromkeys(names, True))


def outputs_false(subject: Subject) -> None:
    subject.need_binary()
    _json_form(subject)
    names = subject.need_outputs()
    _form(_ask(subject, dict.fromkeys(names, False)), dict.fromkeys(names, False))


def outputs_default(subject: Subject) -> None:
    subject.need_binary()
    _json_form(subject)
    names = dict.fromkeys(subject.need_outputs(), False)
    _form(_ask(subject, {}), names)
    _form(_ask(subject, dict.fromkeys(names, None)), names)
    _form(same(subject, subject.infer(subject.binary_inputs()), "binary inputs"), names)


def for_all(subject: Subject) -> None:
    subject.need_binary()
    names = subject.need_outputs()
    _form(_ask(subject, {}, for_all=True), dict.fromkeys(names, True))
    _form(_ask(subject, dict.fromkeys(names, None), for_all=True), dict.fromkeys(names, True))


def for_all_false(subject: Subject) -> None:
    subject.need_binary()
    _json_form(subject)
    _form(_ask(subject, {}, for_all=False), dict.fromkeys(subject.need_outputs(), False))


def output_overrides(subject: Subject) -> None:
    subject.need_binary()
    _json_form(subject)
    names = subject.need_outputs()
    for value in (True, False):
        wanted = dict.fromkeys(names, value)
        _form(_ask(subject, wanted, for_all=not value), wanted)


def one_output(subject: Subject) -> None:
    subject.need_binary()
    _json_form(subject)
    names = subject.need_outputs()
    if len(names) < 2:
        raise NotApplicable("the model has one output")
    for name in names:
        wanted = {each: each == name for each in names}
        _form(_ask(subject, dict(wanted)), wanted)


def both_ways(subject: Subject) -> None:
    subject.need_binary()
    names = subject.need_outputs()
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in names]
    found = same(subject, subject.infer(subject.binary_inputs(), outputs=outputs), "binary both ways")
    _form(found, dict.fromkeys(names, True))


def _binary_answer(subject: Subject) -> HttpAnswer:
    subject.need_binary()
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in subject.need_outputs()]
    answer = subject.infer(outputs=outputs)
    require(answer.status == 200, f"{answer}")
    return answer


def length_header(subject: Subject) -> None:
    answer = _binary_answer(subject)
    length = answer.headers.get(HEADER_LENGTH.lower())
    require(length is not None, f"no {HEADER_LENGTH}")
    read_inference(answer)
    content = answer.headers.get("content-length")
    require(content is None or int(content) == len(answer.body), f"Content-Length is {content}")


def octet_stream(subject: Subject) -> None:
    media = _binary_answer(subject).headers.get("content-type", "none")
    require(media == "application/octet-stream", f"Content-Type is {media}")


def id_returns(subject: Subject) -> None:
    subject.need_binary()
    parameters = {**subject.fields.get("parameters", {}), "binary_data_output": True}
    found = read_inference(subject.infer(subject.binary_inputs(), id="binary 7 ✓", parameters=parameters))
    require(found.fields.get("id") == "binary 7 ✓", f"the id came back as {found.fields.get('id')!r}")


def length_of_json_alone(subject: Subject) -> None:
    subject.need_binary()
    subject.need_json()
    message = subject.message()
    headers = {**message.headers, HEADER_LENGTH: str(len(message.body))}
    same(subject, subject.send(message._replace(headers=headers)), f"JSON alone, with {HEADER_LENGTH}")


def json_content_type(subject: Subject) -> None:
    subject.need_binary()
    message = subject.message(subject.binary_inputs())
    for media in ("application/json", None):
        headers = {name: value for name, value in message.headers.items() if name != "Content-Type"}
        headers |= {"Content-Type": media} if media else {}
        same(subject, subject.send(message._replace(headers=headers)), f"binary inputs, Content-Type {media}")


def spaces(subject: Subject) -> None:
    """JSON with white space around it, which the length counts."""
    subject.need_binary()
    message = subject.message(subject.binary_inputs())
    length = int(message.headers[HEADER_LENGTH])
    text = b" \n" + json.dumps(json.loads(message.body[:length]), indent=2).encode() + b"\n  "
    headers = {**message.headers, HEADER_LENGTH: str(len(text))}
    same(subject, subject.send(Message(text + message.body[length:], headers)), "white space around the JSON")


def many_rows(subject: Subject) -> None:
    subject.need_binary()
    rows = with_rows(subject, MANY_ROWS)
    found = read_inference(subject.infer([each._replace(binary=True) for each in rows]))
    again = read_inference(subject.infer(rows))
    require(
        all(tensor.shape == again.output(name).shape for name, tensor in found.outputs.items()),
        f"{MANY_ROWS} rows in binary have answers of another shape than in JSON",
    )


def no_rows(subject: Subject) -> None:
    """Not to confuse with a tensor without binary data: its size is 0."""
    subject.need_binary()
    got = subject.infer([each._replace(binary=True) for each in with_rows(subject, 0)])
    require(got.status == 200 or 400 <= got.status < 500, f"{got}")


def datatypes(subject: Subject) -> None:
    subject.need_binary()
    try_datatypes(subject, binary=True)


def raw(subject: Subject) -> None:
    """The body is the one tensor; of a model that batches, one row."""
    subject.need_binary()
    if len(subject.inputs) != 1:
        raise NotApplicable("the model has several inputs")
    (tensor,) = subject.inputs
    shape = next(
        (each.get("shape") for each in subject.metadata.get("inputs") or () if each.get("name") == tensor.name), None
    )
    if not shape or shape.count(-1) > 1 or not tensor.datatype.size or not tensor.elements:
        raise NotApplicable("the shape does not follow from the number of bytes")
    one = tensor if shape[0] != -1 else with_rows(subject, 1)[0]
    headers = {HEADER_LENGTH: "0", "Content-Type": "application/octet-stream"}
    found = read_inference(subject.send(Message(one.data(), headers)))
    require(found.outputs, "no outputs")
    _form(found, dict.fromkeys(found.outputs, True))


EXTENSION, RECOMMENDED = Level.EXTENSION, Level.RECOMMENDED
CASES: Final = (
    Case("binary/announced", EXTENSION, "binary extension: binary_tensor_data is in the extensions", announced),
    Case("binary/inputs", EXTENSION, "binary extension: binary_data_size, little-endian", inputs),
    Case("binary/one-of-several", EXTENSION, "binary extension: each input in its form", one_of_several),
    Case("binary/order-of-inputs", EXTENSION, "binary extension: data in the order of the inputs", reversed_inputs),
    Case("binary/outputs", EXTENSION, "binary extension: binary_data true is binary", outputs_true),
    Case("binary/outputs-as-json", EXTENSION, "binary extension: binary_data false is JSON", outputs_false),
    Case("binary/default", EXTENSION, "binary extension: not given is JSON", outputs_default),
    Case("binary/all-outputs", EXTENSION, "binary extension: binary_data_output true is binary for all", for_all),
    Case("binary/all-outputs-as-json", EXTENSION, "binary extension: binary_data_output false is JSON", for_all_false),
    Case(
        "binary/precedence", EXTENSION, "binary extension: binary_data overrides binary_data_output", output_overrides
    ),
    Case("binary/one-output", EXTENSION, "binary extension: each output in its form", one_output),
    Case("binary/both-ways", EXTENSION, "binary extension: inputs and outputs in binary", both_ways),
    Case("binary/length-header", EXTENSION, f"binary extension: {HEADER_LENGTH} of an answer", length_header),
    Case("binary/id", EXTENSION, "REST, Inference Request: the id must be returned", id_returns),
    Case("binary/white-space", EXTENSION, f"binary extension: {HEADER_LENGTH} is the JSON's length", spaces),
    Case("binary/many-rows", EXTENSION, "REST, Model Metadata: -1 is a variable size", many_rows),
    Case("binary/no-rows", RECOMMENDED, "de facto: no rows are answered or refused", no_rows),
    Case("binary/octet-stream", RECOMMENDED, "binary extension, examples: application/octet-stream", octet_stream),
    Case("binary/json-with-length", RECOMMENDED, f"de facto: {HEADER_LENGTH} of JSON alone", length_of_json_alone),
    Case("binary/content-type", RECOMMENDED, "de facto: clients send any Content-Type or none", json_content_type),
    Case("binary/datatypes", RECOMMENDED, "REST, Tensor Data: another datatype is converted or refused", datatypes),
    Case("binary/raw", RECOMMENDED, f"binary extension, raw request: {HEADER_LENGTH} 0, outputs in binary", raw),
)
