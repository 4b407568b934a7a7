"""One module for each kind of call: what happens between a request's bytes and the reply's.

Reading and writing formats is left to ``formats``, running user code to ``hooks``.
"""
