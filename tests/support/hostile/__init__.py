"""Requests that no client should send, as a table: bytes, and what may come back."""

from support.hostile.conversation import Outcome, converse
from support.hostile.table import CASES, Case

__all__ = ["CASES", "Case", "Outcome", "converse"]
