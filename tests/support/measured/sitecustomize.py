"""Start coverage in a Python whose environment does not start it by itself, while the tests are measured.

An environment with coverage has a ``.pth`` file for that. The oracle only borrows the packages of the environment that
runs the tests, and Python reads no ``.pth`` file of a borrowed folder.
"""

import contextlib
import os

if "COVERAGE_PROCESS_CONFIG" in os.environ:  # set by coverage's patch "subprocess"
    with contextlib.suppress(ImportError):
        import coverage

        coverage.process_startup()
        __import__("untraced_imports")  # of the same environment
