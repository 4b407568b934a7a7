"""Settings: declared once in ``groups``, read from command line, runtime parameters and environment by ``resolve.py``.

A leaf: imports nothing of the other packages, starts no process, opens no file but the ones that a setting names.
"""
