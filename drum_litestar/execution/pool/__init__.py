"""The executor that runs predictors in worker processes: processes, sockets, supervision.

``worker_main.py`` and what it imports run in the worker, possibly in an older Python; the rest in the HTTP process.
"""
