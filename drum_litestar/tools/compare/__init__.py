"""``drum-litestar compare``: is the candidate server safe to switch to?

A black box: it knows two URLs and HTTP, and nothing of the servers behind them.

- ``arguments``, ``command``: the command line; ``progress``: progress and log
- ``messages``: a request and an answer; ``corpus``, ``request_folder``: requests from disk; ``upstream``: one server
- ``documents``, ``diff``: what bodies mean, and where two answers differ
- ``outcomes``, ``verdict``: what was counted, and whether it passes
- ``replay``: a corpus against both
- ``live``: the proxy, and recording, shadow and canary on it
- ``reports``: text, JSON, JUnit, HTML
"""
