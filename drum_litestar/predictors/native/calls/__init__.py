"""Handlers, one module for each kind of call, and the loaded model and the error replies that they share.

Reading and writing formats belongs to ``formats``, running user code to ``hooks``.
"""
