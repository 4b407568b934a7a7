from __future__ import annotations

from drum_litestar.console.console_routes import CONSOLE_ROUTES
from drum_litestar.console.request_log import KEPT, RequestLog
from drum_litestar.http.routes import ROUTES
from drum_litestar.request_context import request_id_var
from drum_litestar.route_table import RouteTable


def log(prefix: str = "") -> RequestLog:
    found = RequestLog(clock=lambda: 5.0)
    found.set_routes(RouteTable((*ROUTES, *CONSOLE_ROUTES), prefix))
    return found


def test_requests_are_listed_by_their_routes_the_newest_first() -> None:
    requests = log("/p")
    token = request_id_var.set("a-client's-id")
    requests.ended("POST", "/p/predict/", "/p/predict", 200, 0.5)
    request_id_var.reset(token)
    requests.ended("POST", "/p//predict", None, 413, 0.25)
    requests.ended("GET", "/p/secret-of-a-client", None, 404, 0.125)
    requests.ended("GET", "/p/nim/secret-of-a-client", None, 401, 0.125)
    requests.ended("GET", "/p/mine", "/p/mine", 200, 0.125)
    assert [(each.number, each.ended, each.request_id, each.route, each.status) for each in requests.recent()] == [
        (5, 5.0, "", "/p/mine", 200),
        (4, 5.0, "", "/directAccess/…", 401),
        (3, 5.0, "", "", 404),
        (2, 5.0, "", "/p/predict", 413),
        (1, 5.0, "a-client's-id", "/p/predict", 200),
    ]
    assert requests.errors == {"413": 1, "404": 1, "401": 1}


def test_only_the_last_are_kept_and_the_console_probes_and_monitoring_are_left_out() -> None:
    requests = log()
    for path in ("/livez", "/", "/readyz/", "/metrics", "/console/", "/console/api/live", "/console/app.js"):
        requests.ended("GET", path, None, 200, 0.1)
    assert requests.recent() == []
    for number in range(KEPT + 7):
        requests.ended("POST", "/predict", "/predict", 200, float(number))
    assert len(requests.recent()) == KEPT
    assert requests.recent()[0].seconds == KEPT + 6
    assert requests.count == KEPT + 7


def test_times_are_kept_only_while_somebody_looks() -> None:
    requests = log()
    requests.ended("POST", "/predict", "/predict", 200, 1.0)
    assert requests.take_times() == []
    requests.ended("POST", "/predict", "/predict", 200, 2.0)
    assert requests.take_times() == [2.0]
    requests.stop_times()
    requests.ended("POST", "/predict", "/predict", 200, 3.0)
    assert requests.take_times() == []


def test_the_other_callback_is_called_too() -> None:
    requests, others = log(), list[tuple[object, ...]]()
    ended = requests.recording(lambda *arguments: others.append(arguments))
    ended("POST", "/predict", "/predict", 200, 1.0)
    assert others == [("POST", "/predict", "/predict", 200, 1.0)]
    requests.recording(None)("POST", "/predict", "/predict", 200, 1.0)
    assert requests.count == 2
