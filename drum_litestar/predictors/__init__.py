"""Predictors: their protocol, how one is described and built, and the two implementations.

Bytes in, bytes out. Nothing here imports HTTP, worker processes or observability. Imports go one way: ``protocol``,
``spec``, ``steps`` and ``rules`` are below ``folder``, that is below ``native``, that is below ``drum`` and ``build``.
"""
