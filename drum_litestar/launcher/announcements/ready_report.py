"""The message that the server is ready: a line for a log, fields for a JSON log, a block for a terminal."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from drum_litestar.launcher.announcements.curl_line import Target, curl_line, has_body
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.predictors.protocol import ModelCard

MOST_LABELS: Final = 10
"""Labels that are shown; the number of the others follows."""

_WIDTH: Final = 11


class ReadyReport(NamedTuple):
    """What is served, where, and since how long."""

    plan: LaunchPlan
    card: ModelCard
    target: Target
    seconds: float
    """What the load took."""
    ready: int
    """Model workers that are ready; the others still load. 0 for the inline executor, which has none."""
    memory: int
    """Resident bytes of the processes that hold the model."""

    @property
    def fields(self) -> dict[str, Any]:
        """Attributes of the log record (:data:`drum_litestar.observability.logs.log_format.FIELDS`)."""
        return {
            "ready": True,
            "url": self.target.url or None,
            "target_type": self.card.target_type.value,
            "labels": self.card.labels or None,
            "predictor": self.plan.spec.kind,
            "predictor_reason": self.plan.spec.kind_reason,
            "workers": self.ready,
            "load_seconds": round(self.seconds, 3),
            "memory_bytes": self.memory,
        }

    def line(self) -> str:
        """The message for a log."""
        where = f" on {self.target}" if self.target.url else ""
        return (
            f"ready{where}: {self.card.target_type.value} model, {self._predictor()}, {self._workers()}, "
            f"loaded in {self.seconds:.1f} s, {shown_memory(self.memory)}"
        )

    def block(self) -> list[str]:
        """The lines for a terminal."""
        settings = self.plan.settings
        rows = {
            "URL": str(self.target),
            "Console": f"{self.target.reachable}/console/" if settings.has_console else "",
            "Target type": self.card.target_type.value,
            "Labels": self._labels(),
            "Predictor": self._predictor(),
            "Workers": self._workers(),
            "Load time": f"{self.seconds:.1f} s",
            "Memory": shown_memory(self.memory),
        }
        return [
            f"Ready: {self.plan.spec.code_dir}",
            *(f"  {name:<{_WIDTH}}  {text}" for name, text in rows.items() if text),
            f"  {self._advice()} (Ctrl+C stops the server):",
            f"    {curl_line(self.card, self.target, settings.access, settings.tls)}",
        ]

    def _advice(self) -> str:
        return "Try it" if has_body(self.card) else "Try it with a file of the model's columns"

    def _labels(self) -> str:
        labels = self.card.labels
        if "positiveClassLabel" in self.card.info:
            return f"{labels[0]} (positive), {labels[1]}"
        more = f" and {len(labels) - MOST_LABELS} more" if len(labels) > MOST_LABELS else ""
        return ", ".join(labels[:MOST_LABELS]) + more

    def _predictor(self) -> str:
        spec = self.plan.spec
        return f"{spec.kind} predictor ({spec.kind_reason})" if spec.kind_reason else f"{spec.kind} predictor"

    def _workers(self) -> str:
        workers = self.plan.settings.workers
        if self.plan.settings.model.executor == "inline":
            return "model in the server's own process"
        calls = workers.concurrency(self.card.concurrency, may_wait=self.card.may_wait)
        at_once = f", {calls} calls at once each" if calls > 1 else ""
        if self.ready == workers.count:
            return f"{workers.count} worker{'s' if workers.count > 1 else ''}{at_once}"
        return f"{self.ready} of {workers.count} workers, the others are loading{at_once}"


def shown_memory(size: int) -> str:
    """``size`` bytes for people: ``214 MB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
