"""Messages about settings for the operator: collected while settings are resolved, logged once logging is set up."""

from __future__ import annotations

import logging

import msgspec

LOGGER = "drum_litestar.settings"


class Notice(msgspec.Struct, frozen=True):
    """A log record to be emitted later."""

    level: int
    text: str
    logger: str = LOGGER

    def log(self) -> None:
        logging.getLogger(self.logger).log(self.level, "%s", self.text)


def info(text: str) -> Notice:
    return Notice(logging.INFO, text)


def warning(text: str) -> Notice:
    return Notice(logging.WARNING, text)
