"""Shared parts of the test suites.

Packages: ``servers``, ``environments``, ``predictors``; ``zoo`` builds model folders, ``folders`` has their sources,
``hostile`` malformed requests. ``wire`` is the HTTP client, ``cases`` a contract case, ``comparing`` is for
``drum-litestar compare``.
"""

import pytest

pytest.register_assert_rewrite("support.cases", "support.servers.fleet")
