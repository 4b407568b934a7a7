"""The model under test: what its metadata say, a valid request, and how to send variations of it."""

from __future__ import annotations

import functools
import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from drum_litestar.errors import UsageError
from drum_litestar.tools.conformance.element_types import DATATYPES, misfit, sample, to_bytes
from drum_litestar.tools.conformance.http_target import HttpAnswer, HttpTarget
from drum_litestar.tools.conformance.inference_answer import BINARY_SIZE, HEADER_LENGTH, Inference, read_inference
from drum_litestar.tools.conformance.tensor_values import Tensor, flattened
from drum_litestar.tools.conformance.verdicts import FailedCheck, NotApplicable

ROWS: Final = 2
"""Size of a first dimension that is free; later ones get 1."""
BINARY_NAMES: Final = frozenset({"binary_tensor_data", "binary_tensor_data_extension"})
"""What servers call the extension in their metadata."""


class Message(NamedTuple):
    """A request for the model's ``infer``, or for another ``path``."""

    body: bytes
    headers: Mapping[str, str] = {}
    path: str = ""
    method: str = "POST"


class Subject:
    """Raises UsageError: there is no such server, or no valid request for the model is known."""

    def __init__(
        self, target: HttpTarget, model: str, *, example: Mapping[str, Any] | None = None, seed: int = 0,
        mutations: int = 100,
    ) -> None:  # fmt: skip
        self.target = target
        self.model = model
        self.seed = seed
        self.mutations = mutations
        self.path = f"/v2/models/{quote(model, safe='')}"
        self.fields = {key: example[key] for key in ("parameters",) if example and key in example}
        self.metadata = self._object(self.path)
        self.inputs = self._inputs(self.metadata, example)
        self._without_json = next((each.name for each in self.inputs if each.datatype.name == "FP16"), None)
        self.first = self.infer()
        self.expected = self._expected(named="the example" if example else "the request made from the metadata")
        """The answer to the valid request; without outputs if it cannot be read."""

    # -- what the server says of itself

    @functools.cached_property
    def server_metadata(self) -> dict[str, Any]:
        return self._object("/v2")

    @property
    def server(self) -> str:
        """Name and version that the server gives itself."""
        return " ".join(str(self.server_metadata.get(key) or "?") for key in ("name", "version"))

    @property
    def extensions(self) -> frozenset[str]:
        named = self.server_metadata.get("extensions")
        return frozenset(each for each in named or () if isinstance(each, str))

    @functools.cached_property
    def reads_binary(self) -> bool:
        """Whether the server takes the valid request with binary tensors, announced or not."""
        tensors = [each._replace(binary=True) for each in self.inputs]
        answer = self.infer(tensors)
        try:
            return set(read_inference(answer).outputs) == set(self.expected.outputs)
        except FailedCheck:
            return False

    def need_binary(self) -> None:
        """Raises NotApplicable: the server neither announces nor reads the binary extension."""
        if not self.extensions & BINARY_NAMES and not self.reads_binary:
            raise NotApplicable("the server has no binary extension")

    def need_outputs(self) -> list[str]:
        """Names of the outputs. Raises NotApplicable: the answer to the valid request cannot be read."""
        if not self.expected.outputs:
            raise NotApplicable("the answer to the valid request cannot be read")
        return list(self.expected.outputs)

    def need_json(self) -> None:
        """Raises NotApplicable: an input cannot travel as JSON."""
        if self._without_json is not None:
            raise NotApplicable(f"input {self._without_json} is FP16, which JSON does not carry")

    # -- requests

    def message(self, tensors: Sequence[Tensor] | None = None, **fields: Any) -> Message:
        """A request with ``tensors`` (default: the valid inputs), each as JSON or binary, and more ``fields``."""
        described, data = [], b""
        tensors = self.inputs if tensors is None else tensors
        for each in tensors:
            if each.binary:
                described.append(each.described(**{BINARY_SIZE: len(each.data())}))
                data += each.data()
            else:
                described.append(each.as_json())
        text = json.dumps({**self.fields, "inputs": described, **fields}).encode()
        if not any(each.binary for each in tensors):
            return Message(text, {"Content-Type": "application/json"})
        return Message(text + data, {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(text))})

    def request(self, **fields: Any) -> dict[str, Any]:
        """The valid request as a JSON object, with more ``fields``. Raises NotApplicable: see :meth:`need_json`."""
        self.need_json()
        request: dict[str, Any] = json.loads(self.message(**fields).body)
        return request

    def binary_inputs(self) -> list[Tensor]:
        return [each._replace(binary=True) for each in self.inputs]

    def send(self, message: Message) -> HttpAnswer:
        return self.target.send(message.method, message.path or f"{self.path}/infer", message.body, message.headers)

    def infer(self, tensors: Sequence[Tensor] | None = None, **fields: Any) -> HttpAnswer:
        return self.send(self.message(tensors, **fields))

    def infer_json(self, request: Any) -> HttpAnswer:
        """Send any JSON value."""
        return self.send(Message(json.dumps(request).encode(), {"Content-Type": "application/json"}))

    # -- is it still there?

    def alive(self) -> str:
        """What is wrong with the server now: empty if it is alive and answers the valid request as at first."""
        live = self.target.send("GET", "/v2/health/live")
        if live.status != 200:
            return f"not alive afterwards: {live}"
        again = self.infer()
        return "" if again.status == 200 else f"the next request fails: {again}"

    # -- construction

    def _object(self, path: str) -> dict[str, Any]:
        """The JSON object that GET answers; an empty one for anything else."""
        answer = self.target.send("GET", path)
        if answer.status == 0:
            raise UsageError(f"no answer from the server: {answer.body.decode(errors='replace')}")
        try:
            found = answer.json() if answer.status == 200 else None
        except FailedCheck:
            found = None
        return found if isinstance(found, dict) else {}

    def _inputs(self, metadata: Mapping[str, Any], example: Mapping[str, Any] | None) -> tuple[Tensor, ...]:
        named = example or metadata
        try:
            inputs = tuple(_from_example(each) if example else _from_metadata(each) for each in named["inputs"] or ())
        except (LookupError, TypeError, ValueError):
            inputs = ()
        if not inputs:
            source = "the example has" if example else f"the metadata of model {self.model!r} have"
            if not example and not metadata:
                source = f"GET {self.path} is answered by {self.target.send('GET', self.path)}; there are"
            raise UsageError(f"{source} no inputs to send. Give a valid JSON request with --example FILE.")
        return inputs

    def _expected(self, named: str) -> Inference:
        if self.first.status != 200:
            raise UsageError(f"{named} is refused: {self.first}. Give a valid JSON request with --example FILE.")
        try:
            return read_inference(self.first)
        except FailedCheck:  # a case of its own says so
            return Inference({}, {})


def _from_metadata(described: Mapping[str, Any]) -> Tensor:
    datatype = DATATYPES[described["datatype"]]
    free = [at for at, size in enumerate(described["shape"]) if size < 0]
    shape = tuple(
        (ROWS if at == free[0] == 0 else 1) if size < 0 else int(size) for at, size in enumerate(described["shape"])
    )
    return Tensor(
        described["name"], datatype, shape, sample(datatype, math.prod(shape)), binary=datatype.name == "FP16"
    )


def _from_example(described: Mapping[str, Any]) -> Tensor:
    """Raises UsageError: an element, such as null, is none of the datatype, and could not be sent as binary data."""
    datatype = DATATYPES[described["datatype"]]
    elements = list(flattened(described["data"]))
    problems = [problem for each in elements if (problem := misfit(datatype, each))]
    try:
        if not problems:
            to_bytes(datatype, elements)
    except (OverflowError, ValueError, struct.error) as error:
        problems = [str(error)]
    if problems:
        raise UsageError(
            f"input {described['name']!r} of the example: {problems[0]}. The cases need a request that can travel as "
            "binary data, too."
        )
    return Tensor(
        described["name"], datatype, tuple(described["shape"]), elements, dict(described.get("parameters") or {}),
        datatype.name == "FP16",
    )  # fmt: skip
