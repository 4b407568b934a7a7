"""Measurements of single costs, each a command of its own: stack, observability, queue memory, slow clients, storm,
preload.

They are not part of ``python -m benchmarks run``.
"""
