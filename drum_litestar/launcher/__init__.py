"""Composition: everything that has to be decided or made before the server can run.

The launch plan, the predictor that fits the model folder, the executor, and ``bootstrap.py``, which joins all parts.
Nothing that handles a request belongs here.
"""
