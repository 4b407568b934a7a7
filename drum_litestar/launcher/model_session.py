"""A loaded model without a server: the same workers and calls, for commands."""

from __future__ import annotations

import logging
import sys
from types import TracebackType

import msgspec

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.executor import Executor
from drum_litestar.execution.observer import NullObserver
from drum_litestar.launcher.executor_choice import make_executor
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.launcher.preparation import with_predictor, with_worker_python
from drum_litestar.observability.logs.setup import LEVELS
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply

LONGEST_WAIT = 3600.0
"""Seconds that a call may wait for a worker: one that died is being replaced."""
STOP_GRACE = 5.0
"""Seconds that running calls may still take when the session ends early."""


class ModelSession:
    """The model of a plan, loaded while the ``async with`` block runs."""

    def __init__(self, plan: LaunchPlan) -> None:
        """Raises StartupError, one line, when no predictor or no interpreter can serve the folder."""
        self._plan = plan = without_limits(with_predictor(with_worker_python(plan)))
        self.workers = plan.settings.workers.count
        self._executor: Executor = make_executor(
            plan, observer=NullObserver(), tracing=Tracing(), forward_output=_to_stderr, on_fatal=_ignore
        )

    async def __aenter__(self) -> ModelSession:
        """Load the model. Raises ModelLoadError. Records of this process are logged as plain lines from now on."""
        logging.basicConfig(level=LEVELS[self._plan.logging_level], format="%(levelname)s %(name)s: %(message)s")
        await self._executor.start()
        try:
            await self._executor.wait_started()
            if self._executor.failure is not None:
                raise self._executor.failure
        except BaseException:
            await self._executor.shutdown(0)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._executor.shutdown(STOP_GRACE if kind is None else 0)

    @property
    def card(self) -> ModelCard:
        card = self._executor.card
        assert card is not None, "the session has begun"
        return card

    async def ask(self, call: ModelCall) -> Reply:
        """The model's complete answer, whatever its status. Raises RequestError when no worker can give one."""
        ticket = self._executor.admit()
        try:
            reply = await self._executor.submit(call, ticket=ticket)
        finally:
            ticket.release()
        if isinstance(reply, Reply):
            return reply
        pieces = [bytes(piece) async for piece in reply]
        head = reply.head
        return Reply(status=head.status, body=b"".join(pieces), content_type=head.content_type, headers=head.headers)


def without_limits(plan: LaunchPlan) -> LaunchPlan:
    """``plan`` for a command that waits for each answer: worker processes without the limits of requests."""
    settings = plan.settings
    replace = msgspec.structs.replace
    return replace(
        plan,
        settings=replace(
            settings,
            model=replace(settings.model, executor="pool"),  # standard output belongs to the command, not to hooks
            workers=replace(settings.workers, max_requests=0),
            timeouts=replace(settings.timeouts, request_timeout=0.0, stream_idle_timeout=0.0),
            admission=replace(settings.admission, queue_timeout=LONGEST_WAIT, max_concurrent=None),
        ),
    )


def _to_stderr(_worker: int, _stream: str, line: str) -> None:
    """What the model prints and logs, apart from the command's own output."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _ignore(_: ModelLoadError) -> None:
    """No-op: calls that no worker is left for fail by themselves."""
