"""Autoscaling on what the replicas know: how many calls run in a model, and how many wait for one.

Ray pickles this module by value for its controller, so it imports nothing of this package.
"""

from __future__ import annotations

import math
from typing import Any, Final

BUSY: Final = "drum_busy"
"""Calls that run or wait in a replica: Ray averages it over ``look_back_period_s``."""
SLOTS: Final = "drum_slots"
"""Calls that a replica can run at once."""


def queue_policy(context: Any) -> tuple[int, dict[str, Any]]:
    """Ask for as many replicas as have a slot for each call that runs or waits, in replicas and in Ray's routers.

    An ``autoscaling_policy`` of Ray's (``policy_function: drum_litestar.integrations.ray:queue_policy``), which applies
    the delays, factors and bounds of ``autoscaling_config`` to the answer.
    """
    metrics = context.aggregated_metrics or {}
    waiting = float(context.total_queued_requests or 0)
    slots = list(metrics.get(SLOTS, {}).values())
    if not slots or not sum(slots):  # none has reported yet: a first request needs a replica
        return max(context.target_num_replicas, int(waiting > 0)), {}
    work = sum(metrics.get(BUSY, {}).values()) + waiting
    return math.ceil(work / (sum(slots) / len(slots))), {}
