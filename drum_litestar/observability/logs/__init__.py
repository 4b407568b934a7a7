"""Logging: set-up of the handlers, the two formats, the writer thread, captured output of hooks."""
