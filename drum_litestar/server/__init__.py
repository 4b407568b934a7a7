"""uvicorn run from code: listening sockets, event loop, signals, drain and exit code.

``http`` has the HTTP/1.1 protocol. What the application answers is none of this package's business.
"""
