"""The model folder loaded again in a running server: by SIGHUP, or because its files have changed.

How workers are replaced is the pool's: ``execution/pool/supervisor.py``.
"""
