"""Every setting of the server, declared once: type, default, names, range, meaning.

All groups are frozen. Times are in seconds, sizes in bytes. A default of ``None`` means that the option is off, or that
its value is derived from others; its text says which.
"""
