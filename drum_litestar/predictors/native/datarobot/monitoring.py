"""MLOps monitoring through ``datarobot-mlops``, without DRUM (contract, 4.13; section 8, Q-15).

The scored frame is reported, not a second parse of the body.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Callable

import pandas as pd

from drum_litestar.errors import MissingExtraError, ModelLoadError
from drum_litestar.predictors.native.datarobot.deployment_settings import DeploymentSettings, ReportSettings
from drum_litestar.predictors.native.datarobot.report_queue import ReportQueue
from drum_litestar.predictors.native.formats.validation import ValidatedPredictions
from drum_litestar.predictors.native.hooks.hook_loop import Source
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec

_MODULES = ("datarobot_mlops.mlops", "datarobot.mlops.mlops")
"""Modules of the client class, in current and in older versions."""
_COPY_ON_WRITE = int(pd.__version__.partition(".")[0]) >= 3

logger = logging.getLogger("drum")


class Monitor:
    """Reports of one model worker. Its methods never raise and never block."""

    def __init__(self, client: Any, queue: ReportQueue | None = None, settings: ReportSettings | None = None) -> None:
        """``client``: an initialised ``MLOps`` object."""
        self.client = client
        self.settings = settings or ReportSettings()
        self.queue = queue or ReportQueue()

    def keep(self, frame: Any) -> pd.DataFrame | None:
        """A copy of ``frame``, which hooks may change, for the report; None when it is not a DataFrame."""
        return frame.copy(deep=not _COPY_ON_WRITE) if isinstance(frame, pd.DataFrame) else None

    def predicted(
        self, features: pd.DataFrame | None, predictions: ValidatedPredictions, labels: bool, seconds: float
    ) -> None:
        """Report a successful prediction. ``labels``: its columns are class probabilities; ``seconds``: its time."""
        rows = len(predictions.values)

        def send() -> None:
            self.client.report_deployment_stats(rows, seconds * 1000)
            values = predictions.values.tolist() if labels else predictions.values[:, 0].tolist()
            names = list(predictions.columns) if labels else None
            self.client.report_predictions_data(features_df=features, predictions=values, class_names=names)

        self.queue.put(send, max(rows, 0 if features is None else len(features)))

    def chat(self, params: dict[str, Any], association_id: Any) -> ChatReport:
        """Begin the report of a chat call. The returned object reports its outcome."""
        return ChatReport(self, params, association_id)

    def close(self) -> None:
        """Send the queued reports, then shut the client down."""
        self.queue.close()
        try:
            self.client.shutdown()
        except Exception as error:
            logger.warning("The monitoring client did not shut down cleanly: %r", error)


class ChatReport:
    """The report of one chat call. Only its first outcome is sent."""

    def __init__(self, monitor: Monitor, params: dict[str, Any], association_id: Any) -> None:
        self._monitor, self._association_id = monitor, str(association_id)
        self._prompt = prompt_text(params)
        self._began = time.perf_counter()
        self._done = threading.Lock()

    def succeeded(self, answer: str | None) -> None:
        seconds = time.perf_counter() - self._began
        client, settings = self._monitor.client, self._monitor.settings

        def send() -> None:
            client.report_deployment_stats(1, seconds * 1000)
            if settings.data_wanted():
                client.report_predictions_data(
                    features_df=pd.DataFrame({settings.prompt_column: [self._prompt]}),
                    predictions=[answer or ""],
                    association_ids=[self._association_id],
                )

        self._once(send, 1)

    def failed(self) -> None:
        seconds = time.perf_counter() - self._began
        self._once(lambda: self._monitor.client.report_deployment_stats(0, seconds * 1000), 0)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Report a failure when the block raises."""
        try:
            yield
        except BaseException:
            self.failed()
            raise

    def source(self, source: Source, text_of: Callable[[Any], Any] | None = None) -> ObservedSource:
        """``text_of`` finds the text of a chunk; by default that of a chat."""
        return ObservedSource(source, self, text_of or _chat_text)

    def _once(self, send: Any, rows: int) -> None:
        if self._done.acquire(blocking=False):
            self._monitor.queue.put(send, rows)


class ObservedSource:
    """Yields the chunks of ``source``, and reports their text after the last one.

    A stream that is closed early is not reported: it neither failed nor has a complete answer.
    """

    def __init__(self, source: Source, report: ChatReport, text_of: Callable[[Any], Any]) -> None:
        self._source, self._report, self._text_of = source, report, text_of
        self._parts: list[str] = []

    def __iter__(self) -> ObservedSource:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._source)
        except StopIteration:
            self._report.succeeded("".join(self._parts))
            raise
        except BaseException:
            self._report.failed()
            raise
        text = self._text_of(chunk)
        if isinstance(text, str):
            self._parts.append(text)
        return chunk

    def close(self) -> None:
        self._source.close()


def _chat_text(chunk: Any) -> Any:
    choices = getattr(chunk, "choices", None)
    return getattr(getattr(choices[0], "delta", None), "content", None) if choices else None


def prompt_text(params: dict[str, Any]) -> str:
    """The last message of a chat as one text (contract, 4.13)."""
    messages = params.get("messages") or [{}]
    content = messages[-1].get("content", "") if isinstance(messages[-1], dict) else ""
    if isinstance(content, list):
        return "\n".join(_part_text(part) for part in content)
    return "" if content is None else str(content)


def _part_text(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        return str(part.get("text", ""))
    if kind == "image_url":
        return f"Image URL: {(part.get('image_url') or {}).get('url')}"
    if kind == "input_audio":
        return f"Audio Input, Format: {(part.get('input_audio') or {}).get('format')}"
    return f"Unhandled content type: {kind}"


def start_monitor(spec: PredictorSpec, target_type: TargetType) -> Monitor | None:
    """Start the monitoring that ``spec`` enables; None when it is off. Raises ModelLoadError when it cannot start."""
    embedded = target_type is TargetType.UNSTRUCTURED
    if not (spec.monitor_embedded if embedded else spec.monitor):
        return None
    if not spec.deployment_id:
        logger.warning("MLOps monitoring is asked for without a deployment id: nothing is reported")
        return None
    client = _client_class()()
    try:
        client.set_deployment_id(spec.deployment_id)
        if spec.model_id:
            client.set_model_id(spec.model_id)
        if spec.monitor_settings:
            client.set_channel_config(spec.monitor_settings)
        else:
            client.set_api_spooler(mlops_service_url=spec.webserver, mlops_api_token=spec.api_token)
        if embedded or not spec.monitor_settings:
            client.set_async_reporting()
        client.init()
    except Exception as error:
        raise ModelLoadError(f"MLOps monitoring cannot start: {error}") from error
    settings = DeploymentSettings(spec.deployment_id) if spec.allow_dr_api_access else None
    return Monitor(client, settings=settings)


def _client_class() -> Any:
    found = next((name for name in _MODULES if _exists(name)), None)
    if found is None:
        raise ModelLoadError(str(MissingExtraError("MLOps monitoring", "monitoring", "datarobot-mlops")))
    try:
        return importlib.import_module(found).MLOps
    except ImportError as error:
        raise ModelLoadError(f"MLOps monitoring cannot start: {error}") from error


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package
        return False
