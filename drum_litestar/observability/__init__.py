"""Logs, metrics and traces. Other packages report to this one through protocols that they define.

``worker_setup.py`` sets up all three in a model worker. No answer may depend on a module of this package.
"""
