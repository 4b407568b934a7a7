"""Serve DataRobot custom models over DRUM's HTTP API on Litestar, msgspec and uvicorn.

Importing this package has no side effects: no logging is configured, no environment is read.
"""

__version__ = "0.1.0"
