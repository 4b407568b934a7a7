"""``drum-litestar compare``: is the candidate server safe to switch to?

A black box: it knows two URLs and HTTP, and nothing of the servers behind them.

- ``arguments``, ``command``: the command line; ``console``: progress and log
- ``messages``: a request and an answer; ``corpus``, ``folder``: requests from disk; ``upstream``: one server
- ``documents``, ``diff``: what bodies mean, and where two answers differ
- ``tally``, ``verdict``: what was counted, and whether it passes
- ``replay``: a corpus against both
- ``proxy``, ``serving``, ``mirror``: the proxy that ``recording``, ``shadow`` and ``canary`` (with ``rollout``) share
- ``reports``: text, JSON, JUnit, HTML
"""
