"""Composition of the server from its parts.

The launch plan, checks of settings on this machine, the choice of predictor and executor, and ``bootstrap.py``, the
composition root. Code that handles requests does not belong here.
"""
