"""An LLM server, as DRUM's NIM and vLLM predictors expect it."""

from __future__ import annotations

import json
import socket

from support.servers.upstream import Seen, Upstream, ok


def llm(seen: Seen, sock: socket.socket) -> None:
    """A small OpenAI-compatible server."""
    if seen.method == "GET":
        models = {"object": "list", "data": [{"id": "llm-1", "object": "model", "created": 1, "owned_by": "me"}]}
        body = json.dumps(models) if "models" in seen.target else "ready"
        ok(body.encode(), "Content-Type: application/json")(seen, sock)
        return
    asked = json.loads(seen.body)
    base = {"id": "c1", "created": 1, "model": asked["model"]}
    text = "echo " + asked["messages"][-1]["content"]
    if asked.get("stream"):
        events = b""
        for part in text.split(" "):
            choice = {"index": 0, "delta": {"role": "assistant", "content": part}, "finish_reason": None}
            event = {**base, "object": "chat.completion.chunk", "choices": [choice]}
            events += b"data: " + json.dumps(event).encode() + b"\n\n"
        ok(events + b"data: [DONE]\n\n", "Content-Type: text/event-stream")(seen, sock)
        return
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    answer = {**base, "object": "chat.completion", "choices": [choice]}
    ok(json.dumps(answer).encode(), "Content-Type: application/json")(seen, sock)


def sidecar_options(up: Upstream, **parameters: str) -> dict[str, str]:
    runtime = {f"MLOPS_RUNTIME_PARAM_{name}": value for name, value in parameters.items()}
    return {"OPENAI_HOST": "127.0.0.1", "OPENAI_PORT": str(up.port), "TARGET_NAME": "answer", **runtime}
