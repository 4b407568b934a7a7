"""The console: a page in the browser that shows the server and its model, and lets people ask it.

Its routes and what they answer; what of requests, calls and log records it keeps in memory; and the page itself, as
static files (``static/``). Nothing of it exists while ``DRUM_CONSOLE`` is off. It reads what other parts have, and
keeps no body, header or query of a request. It may not import the pool, a concrete predictor, or the launcher.
"""
