"""Reports of the native predictor, through the real client of datarobot-mlops into a spool folder."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.datarobot.deployment_settings import DeploymentSettings
from drum_litestar.predictors.native.datarobot.monitoring import prompt_text
from drum_litestar.predictors.native.datarobot.report_queue import ReportQueue
from drum_litestar.predictors.protocol import ModelCall, Payload, StreamReply, TargetType
from native_serving import openai_call

pytest.importorskip("datarobot_mlops")
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # the client and the newest pandas

LOAD = "import pandas as pd\ndef load_model(d): return 1\n"
SCORE = LOAD + (
    "def score(data, model, **kwargs):\n"
    "    data['a'] = -1\n"
    "    data['new'] = 0\n"
    "    if len(data) == 3: raise ValueError('three')\n"
    "    return pd.DataFrame({'Predictions': [0.5] * len(data)})\n"
)
PROBA = LOAD + (
    "def score(data, model, **kwargs):\n"
    "    return pd.DataFrame({'no': [0.25] * len(data), 'yes': [0.75] * len(data)})\n"
)
CHAT = LOAD + (
    "from types import SimpleNamespace as N\n"
    "def chat(params, model):\n"
    "    if params.get('stream'): return chunks(params)\n"
    "    if params.get('fail'): raise ValueError('no')\n"
    "    return N(object='chat.completion', choices=[N(message=N(content='hello'))])\n"
    "def chunks(params):\n"
    "    for text in ['a', 'b', None]:\n"
    "        if text == 'b' and params.get('fail'): raise ValueError('broke')\n"
    "        yield N(object='chat.completion.chunk', choices=[N(delta=N(content=text))])\n"
)


def spooling(tmp_path: Path, **fields: Any) -> dict[str, Any]:
    (tmp_path / "spool").mkdir()
    settings = f"spooler_type=filesystem;directory={tmp_path / 'spool'}"
    return {"monitor": True, "deployment_id": "d1", "model_id": "m1", "monitor_settings": settings, **fields}


def reports(tmp_path: Path) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for file in sorted((tmp_path / "spool").glob("fs_spool*")):
        for line in file.read_bytes().splitlines():
            record = json.loads(line)
            assert record["header"]["deploymentId"] == "d1"
            found.append((record["header"]["dataType"], json.loads(record["data"])))
    return found


def predict(body: bytes) -> ModelCall:
    return ModelCall(kind="predict", x=Payload(data=body, size=len(body), mimetype="text/csv"))


def chat(**params: Any) -> ModelCall:
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], **params}).encode()
    return ModelCall(kind="chat", body=Payload(data=body, size=len(body), mimetype="application/json"))


def test_prediction_reports_the_frame_that_was_scored(serve_folder: Any, tmp_path: Path) -> None:
    predictor = serve_folder({"custom.py": SCORE}, **spooling(tmp_path))
    assert predictor.handle(predict(b"a,b\n1,x\n2,y\n")).body == b'{"predictions":[0.5,0.5]}'
    assert predictor.handle(predict(b"a,b\n1,x\n2,y\n3,z\n")).status == 500
    predictor.close()
    (stats, counted), (data, reported) = reports(tmp_path)
    assert (stats, counted["numPredictions"], counted["modelId"]) == ("DEPLOYMENT_STATS", 2, "m1")
    assert 0 < counted["executionTime"] < 10_000
    assert data == "PREDICTIONS_DATA"
    assert reported["features"] == {"a": [1, 2], "b": ["x", "y"]}  # without the changes of the hooks
    assert reported["predictions"] == [0.5, 0.5]


def test_class_probabilities_keep_the_output_order(serve_folder: Any, tmp_path: Path) -> None:
    labels = {"positive_class_label": "yes", "negative_class_label": "no"}
    predictor = serve_folder({"custom.py": PROBA}, TargetType.BINARY, **spooling(tmp_path), **labels)
    assert predictor.handle(predict(b"a\n1\n")).status == 200
    predictor.close()
    assert reports(tmp_path)[1][1]["predictions"] == [[0.25, 0.75]]
    assert reports(tmp_path)[1][1]["classNames"] == ["no", "yes"]


def test_chat(serve_folder: Any, tmp_path: Path) -> None:
    fields = spooling(tmp_path, target_name="t")
    predictor = serve_folder({"custom.py": CHAT}, TargetType.TEXT_GENERATION, **fields)
    assert predictor.handle(chat(datarobot_association_id="id1")).status == 200
    assert predictor.handle(chat(fail=True)).status == 500
    whole = predictor.handle(chat(stream=True, datarobot_association_id="id2"))
    assert isinstance(whole, StreamReply)
    assert len(list(whole.chunks)) == 4
    broken = predictor.handle(chat(stream=True, fail=True))
    assert isinstance(broken, StreamReply)
    assert b"broke" in list(broken.chunks)[-1]
    left = predictor.handle(chat(stream=True))
    assert isinstance(left, StreamReply)
    next(left.chunks)
    left.close()
    predictor.close()
    found = reports(tmp_path)
    assert [data["numPredictions"] for kind, data in found if kind == "DEPLOYMENT_STATS"] == [1, 0, 1, 0]
    answers = [data for kind, data in found if kind == "PREDICTIONS_DATA"]
    assert [data["predictions"] for data in answers] == [["hello"], ["ab"]]
    assert [data["features"] for data in answers] == [{"promptText": ["hi"]}] * 2
    assert [data["associationIds"] for data in answers] == [["id1"], ["id2"]]


def test_completions(serve_folder: Any, tmp_path: Path) -> None:
    code = (
        "def load_model(d): return 1\n"
        "def pieces(fail):\n"
        "    yield 'a'\n"
        "    if fail: raise ValueError('broke')\n"
        "    yield 'b'\n"
        "def completion(params, model): return pieces(params.get('fail')) if params.get('stream') else 'whole'\n"
    )
    predictor = serve_folder({"custom.py": code}, TargetType.TEXT_GENERATION, **spooling(tmp_path, target_name="t"))

    def ask(**params: Any) -> Any:
        return predictor.handle(openai_call("completion", {"prompt": ["x", "hi"] if "n" in params else "hi", **params}))

    assert ask(datarobot_association_id="id1").status == 200
    assert len(list(ask(stream=True, datarobot_association_id="id2").chunks)) == 4
    assert b"broke" in list(ask(stream=True, fail=True).chunks)[-1]
    assert ask(n=1).status == 500
    predictor.close()
    found = reports(tmp_path)
    assert [data["numPredictions"] for kind, data in found if kind == "DEPLOYMENT_STATS"] == [1, 1, 0, 0]
    answers = [data for kind, data in found if kind == "PREDICTIONS_DATA"]
    assert [data["predictions"] for data in answers] == [["whole"], ["ab"]]
    assert [data["features"] for data in answers] == [{"promptText": ["hi"]}] * 2
    assert [data["associationIds"] for data in answers] == [["id1"], ["id2"]]


def test_prompts_that_are_scored(serve_folder: Any, tmp_path: Path) -> None:
    code = (
        "import pandas as pd\ndef load_model(d): return 1\n"
        "def score(data, model, **kw): return pd.DataFrame({'t': data['promptText'].str.upper()})\n"
    )
    predictor = serve_folder({"custom.py": code}, TargetType.TEXT_GENERATION, **spooling(tmp_path, target_name="t"))
    assert predictor.handle(openai_call("completion", {"prompt": ["a", "b"]})).status == 200
    predictor.close()
    (_, counted), (_, reported) = reports(tmp_path)
    assert (counted["numPredictions"], reported["predictions"]) == (2, ["A", "B"])
    assert reported["features"] == {"promptText": ["a", "b"]}


def test_embedded_gives_the_client_to_the_hook(serve_folder: Any, tmp_path: Path) -> None:
    hook = "def load_model(d): return 1\ndef score_unstructured(model, data, **kw): return type(kw['mlops']).__name__\n"
    fields = spooling(tmp_path, monitor=False, monitor_embedded=True)
    predictor = serve_folder({"custom.py": hook}, TargetType.UNSTRUCTURED, **fields)
    assert predictor.handle(ModelCall(kind="unstructured", body=Payload(data=b"x", size=1))).body == b"MLOps"


def test_bad_settings_stop_the_start(serve_folder: Any) -> None:
    with pytest.raises(ModelLoadError, match="MLOps monitoring cannot start"):
        serve_folder({"custom.py": SCORE}, monitor=True, deployment_id="d", monitor_settings="spooler_type=nonsense")


def test_without_deployment_id_nothing_but_a_warning(serve_folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    serve_folder({"custom.py": SCORE}, monitor=True)
    assert "without a deployment id" in caplog.text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        (
            [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "u"}},
                {"type": "input_audio", "input_audio": {"format": "wav"}},
                {"type": "video"},
            ],
            "a\nImage URL: u\nAudio Input, Format: wav\nUnhandled content type: video",
        ),
    ],
)
def test_prompt_text(content: Any, text: str) -> None:
    assert prompt_text({"messages": [{"content": "earlier"}, {"content": content}]}) == text
    assert prompt_text({}) == ""


def test_queue_drops_and_counts_without_blocking(caplog: pytest.LogCaptureFixture) -> None:
    queue = ReportQueue(max_reports=2, max_rows=10)
    begun, go_on, sent = threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        assert go_on.wait(60)

    assert queue.put(slow)
    assert begun.wait(60)
    assert queue.put(lambda: sent.append(1), 50)  # larger than allowed, but alone
    assert not queue.put(lambda: sent.append(2), 1)
    assert queue.put(lambda: sent.append(3), 0) is False
    with caplog.at_level(logging.WARNING, "drum"):
        go_on.set()
        queue.close()
    assert sent == [1]
    assert queue.dropped == 2
    assert "2 dropped, 0 failed" in caplog.text
    assert queue.put(lambda: None) is False


def test_queue_survives_failures() -> None:
    queue, sent = ReportQueue(), threading.Event()
    queue.put(lambda: 1 / 0)  # type: ignore[arg-type]
    queue.put(sent.set)
    assert sent.wait(60)
    queue.close()
    assert queue.failed == 1


def test_the_next_answer_carries_the_number_of_lost_reports(serve_folder: Any, tmp_path: Path) -> None:
    predictor = serve_folder({"custom.py": SCORE}, **spooling(tmp_path))
    monitor = predictor._loaded.monitor
    client, done = monitor.client, threading.Event()
    monitor.client = None  # every report fails
    soon = predictor.handle(predict(b"a\n1\n")).lost_reports
    monitor.queue.put(done.set)
    assert done.wait(60)
    monitor.client = client
    assert soon + predictor.handle(predict(b"a\n1\n2\n3\n")).lost_reports == 1  # error answers carry it too
    assert predictor.handle(predict(b"a\n1\n")).lost_reports == 0
    predictor.close()


class Deployment:
    """The used part of the client's ``Deployment``."""

    def __init__(self, *, drift: bool = False, collects: bool = False, **model: str) -> None:
        self.model = model
        self._drift, self._collects = drift, collects

    def get_drift_tracking_settings(self) -> dict[str, Any]:
        return {"feature_drift": {"enabled": self._drift}, "target_drift": {"enabled": True}}

    def get_predictions_data_collection_settings(self) -> dict[str, Any]:
        return {"enabled": self._collects}


def test_deployment_settings_are_read_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = [
        OSError("down"),
        Deployment(drift=True, prompt="question"),
        Deployment(),
        OSError("down again"),
        Deployment(collects=True, prompt="ignored: a column keeps its name"),
    ]
    now, asked = [0.0], []

    def find(deployment_id: str) -> Any:
        asked.append(deployment_id)
        if isinstance(answer := answers[len(asked) - 1], Exception):
            raise answer
        return answer

    settings = DeploymentSettings("d1", find=find, clock=lambda: now[0])
    seen = []
    for now[0] in (0, 59, 60, 120, 180, 240):
        seen.append((settings.data_wanted(), settings.prompt_column))
    assert seen == [(True, "promptText")] * 2 + [(True, "question"), *[(False, "question")] * 2, (True, "question")]
    assert asked == ["d1"] * 5
    assert caplog.text.count("The settings of deployment d1 cannot be read") == 2


def test_closing_a_blocked_queue_times_out() -> None:
    queue, go_on = ReportQueue(), threading.Event()

    def blocks() -> None:
        go_on.wait(60)

    queue.put(blocks)
    queue.put(lambda: None)
    queue.close(timeout=0.05)
    assert queue.dropped >= 1
    go_on.set()
