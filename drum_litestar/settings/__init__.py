"""Settings: declared once in ``groups``, read from command line, runtime parameters and environment by ``resolve.py``.

Imports none of the other packages but ``errors``. Starts no process and builds no TLS context; what a setting names is
tried by ``launcher/machine_checks.py``.
"""
