"""Operations of the routes that tell of the server and its model."""

from __future__ import annotations

from typing import Final

from drum_litestar.http.openapi.operation import TEXT, Operation, answers
from drum_litestar.messages.server_messages import Capabilities, Info, ProbeAnswer, Stats

PROBE: Final = Operation(answer=answers(ProbeAnswer))
INFO: Final = Operation(answer=answers(Info))
CAPABILITIES: Final = Operation(answer=answers(Capabilities))
STATS: Final = Operation(answer=answers(Stats))
METRICS: Final = Operation(
    answer=lambda _: {"text/plain": {"schema": TEXT}},
    offered=lambda subject: subject.options.metrics is not None,
    description="For Prometheus.",
)
