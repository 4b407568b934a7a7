"""Counts and times as the statistics extension of the Open Inference Protocol has them, since the start."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Dict


@dataclass
class Duration:
    """A number of events, and their time together."""

    count: int = 0
    nanoseconds: int = 0

    def add(self, seconds: float) -> None:
        """One more event."""
        self.count += 1
        self.nanoseconds += int(seconds * 1e9)

    def report(self) -> Dict[str, int]:
        return {"count": self.count, "ns": self.nanoseconds}


@dataclass
class InferenceStatistics:
    """What the protocol's requests did, with the waits and computations of all calls of the model."""

    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    compute: Duration = field(default_factory=Duration)
    last: int = 0
    """Milliseconds since the epoch; 0 before the first request."""

    def answered(self, status: int, seconds: float) -> None:
        """A request of the protocol has its answer after ``seconds``."""
        self.last = int(time.time() * 1000)
        (self.success if status < 400 else self.fail).add(seconds)

    def report(self) -> Dict[str, Any]:
        """The extension's fields, without the model's name. Parsing and encoding are part of ``compute_infer``, and
        nothing is cached. NVIDIA's load generator wants the same count for all three parts of a computation."""
        parts = {"success": self.success, "fail": self.fail, "queue": self.queue, "compute_infer": self.compute}
        inside = Duration(self.compute.count)
        return {
            "last_inference": self.last,
            "inference_count": self.success.count,
            "execution_count": self.compute.count,
            "inference_stats": {
                **{name: part.report() for name, part in parts.items()},
                **{name: inside.report() for name in ("compute_input", "compute_output")},
                **{name: Duration().report() for name in ("cache_hit", "cache_miss")},
            },
            "batch_stats": [],
        }
