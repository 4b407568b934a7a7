"""A small server of the Open Inference Protocol with one model, which keeps every rule, or breaks one on purpose.

Model ``sums`` has inputs ``x`` (FP64 [-1, 2]) and ``n`` (INT32 [-1]), outputs ``sum`` (FP64 [-1]) and ``twice``
(INT32 [-1]). Written without the suite's code.
"""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAME = "sums"
TYPES = {"x": ("FP64", "d", 8), "n": ("INT32", "i", 4), "sum": ("FP64", "d", 8), "twice": ("INT32", "i", 4)}
METADATA: dict[str, Any] = {
    "name": NAME,
    "platform": "arithmetic",
    "inputs": [
        {"name": "x", "datatype": "FP64", "shape": [-1, 2]},
        {"name": "n", "datatype": "INT32", "shape": [-1]},
    ],
    "outputs": [
        {"name": "sum", "datatype": "FP64", "shape": [-1]},
        {"name": "twice", "datatype": "INT32", "shape": [-1]},
    ],
}


class RefusedError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def need(condition: object, text: str, status: int = 400) -> None:
    if not condition:
        raise RefusedError(status, text)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """An answer leaves as one segment."""
    faults: frozenset[str] = frozenset()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.guarded(b"")

    def do_POST(self) -> None:
        body = b""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
        self.guarded(body or self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def do_DELETE(self) -> None:
        self.guarded(b"")

    def guarded(self, body: bytes) -> None:
        try:
            answer, data = self.route(body)
            status = 200
        except RefusedError as error:
            status, data = error.status, b""
            answer = {"message" if "error-key" in self.faults else "error": str(error)}
        except RecursionError:
            status, answer, data = 400, {"error": "too deep"}, b""
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if data else "application/json")
        if data and "no-length" not in self.faults:
            self.send_header("Inference-Header-Content-Length", str(len(text)))
        self.send_header("Content-Length", str(len(text + data)))
        self.end_headers()
        self.wfile.write(text + data)

    def route(self, body: bytes) -> tuple[Any, bytes]:
        get: dict[str, Any] = {
            "/v2": {"name": "reference", "version": "1", "extensions": ["binary_tensor_data"]},
            "/v2/": {"name": "reference", "version": "1", "extensions": []},
            "/v2/health/live": {"live": True},
            "/v2/health/ready": {"ready": True},
            f"/v2/models/{NAME}": METADATA,
            f"/v2/models/{NAME}/ready": {"name": NAME, "ready": True},
        }
        if "unannounced" in self.faults:
            get["/v2"]["extensions"] = []
        infer = f"/v2/models/{NAME}/infer"
        need(self.path in get or self.path == infer, "unknown", 404)
        need(self.command == ("POST" if self.path == infer else "GET"), "wrong method", 405)
        if self.path != infer:
            return get[self.path], b""
        need("Content-Encoding" not in self.headers, "Content-Encoding", 415)
        return self.infer(body)

    def infer(self, body: bytes) -> tuple[Any, bytes]:
        length = self.headers.get("Inference-Header-Content-Length")
        need(length is None or (length.isdecimal() and 0 < int(length) <= len(body)), "header length")
        text, data = (body, b"") if length is None else (body[: int(length)], body[int(length) :])
        try:
            request = json.loads(text.decode(), parse_constant=lambda word: need(False, word))
        except ValueError as error:
            raise RefusedError(500 if "crash" in self.faults else 400, f"JSON: {error}") from error
        need(isinstance(request, dict), "no object")
        for key, kind in (("inputs", list), ("outputs", list), ("parameters", dict), ("id", str)):
            need(isinstance(request.get(key, kind()), kind), key)
        inputs: dict[str, tuple[list[int], list[Any]]] = {}
        for each in request.get("inputs", []):
            need(isinstance(each, dict) and isinstance(each.get("name"), str), "an input without a name")
            need(each["name"] in ("x", "n") and each["name"] not in inputs, "an unknown input, or one twice")
            shape, elements, data = self.tensor(each, data)
            inputs[each["name"]] = shape, elements
        need(set(inputs) == {"x", "n"}, "inputs are missing")
        need(not data or "bytes-left" in self.faults, "bytes left")
        rows = inputs["x"][0][0]
        need(inputs["n"][0] == [rows] and inputs["x"][0][1:] == [2], "shapes")
        flat = inputs["x"][1]
        values: dict[str, list[Any]] = {
            "sum": [flat[2 * row] + 10 * flat[2 * row + 1] for row in range(rows)],
            "twice": [2 * number for number in inputs["n"][1]],
        }
        return self.answer(request, values)

    def tensor(self, each: dict[str, Any], data: bytes) -> tuple[list[int], list[Any], bytes]:
        name, shape, parameters = each["name"], each.get("shape"), each.get("parameters", {})
        datatype, code, size = TYPES[name]
        need(each.get("datatype") == datatype, "datatype")
        need(isinstance(shape, list) and all(type(dim) is int and 0 <= dim < 2**64 for dim in shape), "shape")
        assert isinstance(shape, list)
        count = 1
        for dim in shape:
            count *= dim
        need(isinstance(parameters, dict), "parameters")
        if "binary_data_size" in parameters:
            told = parameters["binary_data_size"]
            need(type(told) is int and 0 <= told <= len(data) and "data" not in each, "binary_data_size")
            need(told == size * count, "binary_data_size and shape")
            order = ">" if "big-endian" in self.faults else "<"
            return shape, list(struct.unpack(f"{order}{count}{code}", data[:told])), data[told:]
        elements = each.get("data")
        need(isinstance(elements, list), "no data")
        assert isinstance(elements, list)
        if elements and isinstance(elements[0], list):
            need("no-nesting" not in self.faults and [len(row) for row in elements] == [2] * shape[0], "nesting")
            elements = [element for row in elements for element in row]
        kind = (int, float) if code == "d" else int
        need(all(isinstance(value, kind) and not isinstance(value, bool) for value in elements), "element")
        need(len(elements) == count or "any-count" in self.faults, "number of elements")
        need(code == "d" or all(-(2**31) <= value < 2**31 for value in elements), "range")
        need(all(abs(value) < 1e300 for value in elements), "range")
        return shape, elements, data

    def answer(self, request: dict[str, Any], values: dict[str, list[Any]]) -> tuple[Any, bytes]:
        for_all = request.get("parameters", {}).get("binary_data_output", False)
        asked = request.get("outputs") or [{"name": name} for name in values]
        outputs, data, seen = [], b"", set()
        for each in asked:
            need(isinstance(each, dict) and each.get("name") in values and each["name"] not in seen, "output")
            name = each["name"]
            seen.add(name)
            datatype, code, _ = TYPES[name]
            described: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [len(values[name])]}
            wanted = each.get("parameters", {}).get("binary_data", for_all)
            if "precedence" in self.faults and for_all:
                wanted = True
            if wanted and "json-only" not in self.faults:
                packed = struct.pack(f"<{len(values[name])}{code}", *values[name])
                described["parameters"] = {"binary_data_size": len(packed)}
                data += packed
            else:
                described["data"] = values[name]
            outputs.append(described)
        answer: dict[str, Any] = {"model_name": NAME, "outputs": outputs}
        if "id" in request and "no-id" not in self.faults:
            answer["id"] = request["id"]
        if "nulls" in self.faults:
            answer["model_version"] = None
        if "first-output" in self.faults:
            answer["outputs"] = outputs[:1]
        if "names" in self.faults:
            del answer["model_name"]
        return answer, data


@contextlib.contextmanager
def infer_server(*faults: str) -> Iterator[str]:
    """Its URL. ``faults``: rules that it breaks, words of this module."""
    handler = type("Faulty", (Handler,), {"faults": frozenset(faults)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
