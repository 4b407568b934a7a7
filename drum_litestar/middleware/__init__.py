"""Pure ASGI middleware, one class per file; ``stack.py`` has their order.

A middleware takes plain values and callables. It imports neither settings, nor the executor, nor Litestar.
"""
