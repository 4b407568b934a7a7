"""What the operator should hear about settings. Said after logging is set up, not where it is found."""

from __future__ import annotations

import logging

import msgspec

LOGGER = "drum_litestar.settings"


class Notice(msgspec.Struct, frozen=True):
    """One log record to come."""

    level: int
    text: str
    logger: str = LOGGER

    def log(self) -> None:
        logging.getLogger(self.logger).log(self.level, "%s", self.text)


def info(text: str) -> Notice:
    return Notice(logging.INFO, text)


def warning(text: str) -> Notice:
    return Notice(logging.WARNING, text)
