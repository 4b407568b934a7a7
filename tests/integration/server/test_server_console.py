"""The console of a real server, without a browser: what it may be asked, when, and by whom."""

from __future__ import annotations

import signal

from support.servers.faults import Faults, eventually, order
from support.wire import Request, get

TOKEN = "a-token-of-this-test"
KEY = ("X-API-Key", TOKEN)


def keyed(request: Request) -> Request:
    return request.with_headers(KEY)


def test_the_console_of_a_server_with_a_token(faults: Faults) -> None:
    """A busy model, a request that fails, a worker that dies, a reload, and a stop while somebody looks."""
    server = faults.start(env={"DRUM_CONSOLE": "true", "DRUM_API_TOKEN": TOKEN, "URL_PREFIX": "/p"})

    def asked(name: str) -> object:
        return server.send(keyed(get(f"/p/console/api/{name}"))).json()

    def ordered(do: str) -> Request:
        request = order(do)
        return keyed(Request(request.method, "/p/predict/", request.headers, request.body))

    assert b'<script type="module" src="app.js">' in server.send(get("/p/console/")).body
    for name in ("overview", "requests", "faults", "live"):
        assert server.send(get(f"/p/console/api/{name}")).status == 401
    waiting = server.begin(ordered("wait"))
    server.noted_more("begins")
    overview = server.send(keyed(get("/p/console/api/overview")))
    assert [worker["running"] for worker in overview.json()["workers"]] == [1]
    assert TOKEN.encode() not in overview.body
    server.go()
    assert waiting.result().status == 200
    assert server.send(ordered("exit")).status == 503
    faults_found = server.send(keyed(get("/p/console/api/faults"))).json()["faults"]
    assert ("/p/predict", 503, "WorkerDiedError") in [
        (each["route"], each["status"], each["kind"]) for each in faults_found
    ]
    assert all(not fault["traceback"] for fault in faults_found)
    recent = server.send(keyed(get("/p/console/api/requests"))).json()["requests"]
    assert [(request[4], request[5]) for request in recent] == [("/p/predict", 503), ("/p/predict", 200)]
    eventually(lambda: "a model worker is replaced: died" in str(asked("overview")), "the history has it")
    server.server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "The model is reloaded" in str(asked("overview")), "the history has the reload")
    with server.half(keyed(get("/p/console/api/live"))) as viewer:
        assert b"data: " in viewer.recv(65536) + viewer.recv(65536)
        assert server.server.stop(timeout=60) == 0
        while viewer.recv(65536):
            pass
