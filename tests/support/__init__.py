"""What the test suites share: model folders, servers, an HTTP client, the real DRUM."""

import pytest

pytest.register_assert_rewrite("support.cases", "support.fleet")
