"""The server's settings as one frozen value."""

from __future__ import annotations

import msgspec

from drum_litestar.settings.groups.edge import (
    AccessSettings,
    AnswerSettings,
    CorsSettings,
    LogSettings,
    LoopSettings,
    RateLimitSettings,
    TlsSettings,
    TraceSettings,
)
from drum_litestar.settings.groups.limits import ConnectionSettings, TimeoutSettings, UploadSettings
from drum_litestar.settings.groups.serving import AdmissionSettings, ListenSettings, ModelSettings, WorkerSettings


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All groups of settings, made by :func:`drum_litestar.settings.resolve.resolve`. The defaults alone are valid."""

    listen: ListenSettings = ListenSettings()
    model: ModelSettings = ModelSettings()
    workers: WorkerSettings = WorkerSettings()
    admission: AdmissionSettings = AdmissionSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    connections: ConnectionSettings = ConnectionSettings()
    uploads: UploadSettings = UploadSettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    cors: CorsSettings = CorsSettings()
    answers: AnswerSettings = AnswerSettings()
    tls: TlsSettings = TlsSettings()
    access: AccessSettings = AccessSettings()
    log: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()
    loop: LoopSettings = LoopSettings()

    @property
    def has_console(self) -> bool:
        """The console is served: whoever changes a model folder and sees it reload wants to look at it, too."""
        return self.model.reload if self.listen.console is None else self.listen.console

    def slots(self, concurrency: int = 1) -> int:
        """Number of slots: calls that run at once over all workers.

        ``concurrency`` is the model's default for one worker (``ModelCard.concurrency``); the operator's settings
        may override it.
        """
        slots = self.workers.count * self.workers.concurrency(concurrency)
        return min(slots, self.admission.max_concurrent or slots)
