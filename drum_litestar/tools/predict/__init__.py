"""``drum-litestar predict``: scores a file with a model folder, without a server.

The model runs in the server's own worker processes; this package cuts the file, asks, and writes what comes back.
"""
