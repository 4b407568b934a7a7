"""The counters of calls behind ``/stats/``."""

from __future__ import annotations

from typing import Any

from drum_litestar.execution.invoke import BatchPart
from drum_litestar.execution.observer import ExecutorObserver, RejectReason
from drum_litestar.predictors.protocol import ModelCall, Reply, StreamHead


class Counters:
    """Count calls, and report to the observer."""

    def __init__(self, observer: ExecutorObserver) -> None:
        self.observer = observer
        self.accepted = self.rejected = self.dispatched = self.completed = self.timed_out = self.lost_reports = 0
        self.peak_depth = 0
        self._wait_total = 0.0

    def reject(self, reason: RejectReason) -> None:
        """A call ends before it has reached the model."""
        self.rejected += 1
        self.observer.rejected(reason)

    def note_depth(self, depth: int) -> None:
        """``depth`` calls wait now."""
        self.peak_depth = max(self.peak_depth, depth)

    def time_out_in_queue(self) -> None:
        """A call's deadline has passed while it waited."""
        self.timed_out += 1
        self.reject("deadline")

    def dispatch(self, call: ModelCall, wait: float) -> None:
        """``call`` leaves for the model after ``wait`` seconds."""
        self.dispatched += 1
        self._wait_total += wait
        self.observer.queue_wait(wait, call.trace)

    def answered(self, answer: Reply | StreamHead) -> None:
        """The model has answered a call, whose caller may be gone by now."""
        self.lost_reports += answer.lost_reports

    def batch_answered(self, part: BatchPart, rows: int) -> None:
        """The model has answered ``part`` of a batch of about ``rows`` rows."""
        self.observer.model_seconds(part.seconds)
        if part.batched:
            self.observer.batch_rows(rows)

    def stats(self) -> dict[str, Any]:
        """Under their ``/stats/`` names; times in milliseconds."""
        return {
            "executor_completed": self.completed,
            "executor_rejected": self.rejected,
            "executor_timed_out": self.timed_out,
            "monitoring_reports_lost": self.lost_reports,
            "backpressure_accepted": self.accepted,
            "backpressure_rejected": self.rejected,
            "backpressure_peak_queue_depth": self.peak_depth,
            "backpressure_avg_wait_ms": round(1000 * self._wait_total / self.dispatched, 3) if self.dispatched else 0.0,
        }
