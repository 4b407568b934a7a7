"""``drum-litestar compare``: is the candidate server safe to switch to?

A black box: it uses two URLs and HTTP, and no other knowledge of the servers.

- ``arguments``, ``compare_command``: the command line; ``progress``: progress and log
- ``messages``: a request and an answer; ``corpus``, ``request_folder``: requests from disk; ``upstream``: one server
- ``documents``, ``diff``: parsed bodies, and the differences of two answers
- ``outcomes``, ``verdict``: counters, and whether they pass the thresholds
- ``replay``: replays a corpus to both
- ``live``: the proxy, and recording, shadow and canary on it
- ``reports``: text, JSON, JUnit, HTML
"""
