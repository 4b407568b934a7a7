"""Error server: whether a failed load ends the server (contract, 5.1, 5.2; section 8, Q-3, Q-22).

There is no second application. The one that listens since the start answers 513 by ``Executor.check_failure``, in
a process that never imports user code. This module decides and logs the reason.
"""

from __future__ import annotations

import logging

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.executor import Executor

logger = logging.getLogger(__name__)


async def watch_load(executor: Executor, *, error_server: bool) -> ModelLoadError | None:
    """Wait for the first load to end and log its failure.

    Returns None when the model is ready or the server continues as error server, else the error that must end it.
    """
    await executor.wait_started()
    failure = executor.failure
    if executor.state != "failed" or failure is None:
        return None
    if failure.detail:
        logger.error("The model failed to load", extra={"traceback": failure.detail})
    if error_server:
        logger.error("The model failed to load; every route answers 513 now: %s", failure)
        return None
    return failure
