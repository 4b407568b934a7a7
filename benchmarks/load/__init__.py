"""Load generators. Each returns figures: requests/s, latencies in ms, errors.

``closed_loop.py`` runs wrk. The others share ``client.py``, a minimal HTTP/1.1 client on uvloop and httptools: general
clients need more CPU for a request than the servers under test.
"""
