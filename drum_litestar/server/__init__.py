"""uvicorn run from code: listening sockets, event loop, signals, drain and exit code.

``http`` has the HTTP/1.1 protocol. This package does not depend on what the application answers.
"""
