"""``/metrics`` of a real server with three workers, one of which is killed under load; and what is made of it.

``SHOW_METRICS=file`` keeps the exposition.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from drum_litestar.execution.observer import RejectReason, RestartCause
from support.servers.backends import ROOT
from support.servers.faults import DIED, FULL, FaultyServer, eventually, faults_of, order
from support.wire import Answer, Request, csv, get, post
from support.zoo import Zoo

WORKERS = 3
SETTINGS = {"CUSTOM_MODEL_WORKERS": str(WORKERS), "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "2"}
MIX = (
    ("/predict", order("echo", 1)),
    ("/predict", order("sleep", 0.02)),
    ("/predict", order("sys_exit", 3)),
    ("/predict", csv(b"")),
    ("/invocations", csv("do,arg\necho,2\n", "/invocations")),
    ("/transform", post("/transform/", "a\n1\n", "text/csv")),
    ("/ping", get("/ping/")),
    ("<unmatched>", get("/nope")),
    ("<unmatched>", get("/nope/of/another/name")),
)
"""Route template and request."""
REQUESTS = 600
CLIENTS = 8

Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Scrapes:
    """Answers by method, route template and status, and three scrapes."""

    answers: Counter[tuple[str, str, int]]
    busy: int
    """Of them, refused because the queue was full."""
    lost: int
    """Of them, those that the killed worker had."""
    held: str
    killed: str
    after: str


def value(text: str, name: str, **labels: str) -> float | None:
    """Return the value of the series with ``labels``, or the sum of those that have more labels; None without any."""
    wanted = set(labels.items())
    found = [number for (series, pairs), number in series_of(text).items() if series == name and wanted <= pairs]
    return sum(found) if found else None


def series_of(text: str) -> Series:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(text)
        for sample in family.samples
    }


def families(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))


class Clients:
    """Clients that record their answers."""

    def __init__(self, server: FaultyServer) -> None:
        self.server = server
        self.answers: list[tuple[str, str, Answer]] = []

    def ask(self, route: str, request: Request) -> None:
        self.answers.append((request.method, route, self.server.send(request)))

    def told(self, text: str) -> int:
        return sum(answer.status == 503 and answer.json()["message"] == text for _, _, answer in self.answers)


@pytest.fixture(scope="module")
def scrapes(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrapes]:
    servers = faults_of(zoo, tmp_path_factory.mktemp("metrics"))
    try:
        yield _run(next(servers).start(env=SETTINGS))
    finally:
        for _ in servers:  # ends what it has started
            pass


def _run(server: FaultyServer) -> Scrapes:
    server.settle(WORKERS)
    clients = Clients(server)
    with ThreadPoolExecutor(CLIENTS) as threads:
        # Every worker is held, two calls wait, one more is refused.
        held = [threads.submit(clients.ask, "/predict", order("wait", 1)) for _ in range(WORKERS)]
        eventually(lambda: server.noted("begins") == WORKERS, "every worker is held")
        waiting = [threads.submit(clients.ask, "/predict", order("wait", 2)) for _ in range(2)]
        eventually(lambda: server.stats()["executor_queue_depth"] == 2, "two calls wait")
        clients.ask("/predict", order("echo"))
        scrape_held = scrape(server)
        # One worker dies with its call; a waiting call gets the replacement.
        os.kill(server.workers()[0], signal.SIGKILL)
        eventually(lambda: server.noted("begins") == WORKERS + 1, "the replacement has taken a call")
        scrape_killed = scrape(server)
        server.go(2)
        load = [threads.submit(clients.ask, *MIX[number % len(MIX)]) for number in range(REQUESTS)]
        server.go(1)
        for future in (*held, *waiting, *load):
            future.result()
    server.settle(WORKERS)
    counted = Counter((method, route, answer.status) for method, route, answer in clients.answers)
    # an answer is counted after its last byte has left
    eventually(lambda: (value(scrape(server), "drum_requests_total") or 0) >= sum(counted.values()), "all are counted")
    after = scrape(server)
    if os.environ.get("SHOW_METRICS"):
        Path(os.environ["SHOW_METRICS"]).write_text(after)
    return Scrapes(counted, clients.told(FULL), clients.told(DIED["message"]), scrape_held, scrape_killed, after)


def scrape(server: FaultyServer) -> str:
    answer = server.send(get("/metrics"))
    assert answer.status == 200
    return answer.body.decode()


def test_every_answer_is_counted_once(scrapes: Scrapes) -> None:
    """By method, route template and status; the killed worker's requests and refused ones too."""
    print(scrapes.answers)
    for (method, route, status), count in scrapes.answers.items():
        found = value(scrapes.after, "drum_requests_total", method=method, endpoint=route, status=str(status))
        assert found == count, (method, route, status)
    for name, labels in series_of(scrapes.after):
        pairs = dict(labels)
        if name == "drum_requests_total" and pairs["endpoint"] not in ("/metrics", "/stats", "/readyz"):
            assert (pairs["method"], pairs["endpoint"], int(pairs["status"])) in scrapes.answers, pairs
    for method, route in {key[:2] for key in scrapes.answers}:
        where = {"method": method, "endpoint": route}
        total = value(scrapes.after, "drum_requests_total", **where)
        assert value(scrapes.after, "drum_request_duration_seconds_count", **where) == total


def test_held_workers_show(scrapes: Scrapes) -> None:
    for text, name, expected in (
        (scrapes.held, "drum_predictions_in_progress", WORKERS),
        (scrapes.held, "drum_executor_workers_busy", WORKERS),
        (scrapes.held, "drum_executor_queue_depth", 2),
        (scrapes.held, "drum_rejected_total", 1),
        (scrapes.held, "drum_connections", WORKERS + 2 + 1),  # and the scrape's own
        (scrapes.killed, "drum_predictions_in_progress", WORKERS),
        (scrapes.killed, "drum_executor_queue_depth", 1),
    ):
        assert value(text, name) == expected, name


def test_one_death_is_one_restart(scrapes: Scrapes) -> None:
    assert value(scrapes.held, "drum_worker_restarts_total") is None
    for text in (scrapes.killed, scrapes.after):
        assert value(text, "drum_worker_restarts_total") == 1
        assert value(text, "drum_worker_restarts_total", cause="died") == 1
    assert scrapes.lost == 1
    shown = {dict(labels).get("process") for name, labels in series_of(scrapes.after) if name == "drum_memory_bytes"}
    assert shown == {"server", "worker-1", "worker-2", "worker-3", "container"}


def test_nothing_is_left(scrapes: Scrapes) -> None:
    for name in ("drum_predictions_in_progress", "drum_executor_workers_busy", "drum_executor_queue_depth"):
        assert value(scrapes.after, name) == 0, name
    assert value(scrapes.after, "drum_rejected_total", reason="queue_full") == scrapes.busy >= 1
    assert value(scrapes.after, "drum_connections") == 1


def test_model_time_is_of_calls_that_reached_the_model(scrapes: Scrapes) -> None:
    reached = value(scrapes.after, "drum_queue_wait_seconds_count")
    assert value(scrapes.after, "drum_model_seconds_count") == (reached or 0) - scrapes.lost


# The dashboard and the alert rules, against the scrapes of this server

SELECTOR = re.compile(r"\b(drum_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
OF_THE_SCRAPE = {"job", "instance"}
"""Labels that Prometheus adds."""
DEPENDS_ON_THE_MACHINE = {"drum_oom_kills_total": set[str]()}
"""Only a kernel with memory cgroups counts these; and only a container has ``type="limit"``."""
ENUMERATED = {
    "type": {"rss", "vms", "limit", "used", "available"},
    "result": {"succeeded", "failed"},
    "cause": set(get_args(RestartCause)),
    "reason": {*get_args(RejectReason), "rate_limit", "body_too_large", "unauthorized", "connection_limit"},
}


def shown(texts: tuple[str, ...]) -> dict[str, set[str]]:
    """Return the labels of each sample name."""
    labels: dict[str, set[str]] = dict(DEPENDS_ON_THE_MACHINE)
    for text in texts:
        for name, pairs in series_of(text):
            labels.setdefault(name, set()).update(dict(pairs))
    return labels


def queries() -> list[Any]:
    """Return each expression of the dashboard and of the alerts, with the labels that its texts name."""
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            words = re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat") or "")
            found.append(pytest.param(target["expr"], words, id=f"{panel['title']}, {target['refId']}"))
    (group,) = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        words = re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))
        found.append(pytest.param(rule["expr"], words, id=rule["alert"]))
    return found


@pytest.mark.parametrize(("expression", "named"), queries())
def test_a_query_finds_its_series(scrapes: Scrapes, expression: str, named: list[str]) -> None:
    """Metrics, labels to select by, to group by and to show exist; so do the values selected."""
    texts = (scrapes.held, scrapes.after)
    labels = shown(texts)
    left = OF_THE_SCRAPE
    for metric, selector in SELECTOR.findall(expression):
        assert metric in labels
        left = left | labels[metric]
        for label, operator, wanted in MATCHER.findall(selector):
            assert label in labels[metric] | OF_THE_SCRAPE, f"{metric} has no {label}"
            if label not in OF_THE_SCRAPE and operator in ("=", "=~"):
                assert_value(texts, metric, label, wanted)
    groups = {label.strip() for inner in GROUPING.findall(expression) for label in inner.split(",")} - {""}
    assert groups <= left
    kept = groups if "sum by" in expression else OF_THE_SCRAPE if "sum(" in expression else left
    assert set(named) <= kept, f"{named} are not in the result"


def assert_value(texts: tuple[str, ...], metric: str, label: str, pattern: str) -> None:
    """Check that some series has the value, or can have it: each word of ``a|b`` where all words are known."""
    known = ENUMERATED.get(label)
    if known is None:
        known = {dict(pairs)[label] for text in texts for name, pairs in series_of(text) if name == metric} | {"504"}
        assert any(re.fullmatch(pattern, value) for value in known), f"{metric}: no {label} is {pattern}"
    else:
        assert set(pattern.split("|")) <= known, f"{metric}: no {label} is {pattern}"
