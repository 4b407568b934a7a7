"""Load generators. Each returns plain figures: requests/s, latencies in ms, errors.

``closed.py`` is wrk. The others share ``client.py``, a bare HTTP/1.1 client on uvloop and httptools: general clients
need more CPU for a request than the servers under test.
"""
