"""Every setting of the server, declared once: type, default, names, range, meaning.

All groups are frozen. Times are in seconds, sizes in bytes. A default of ``None`` means that the option is off, or that
its value follows from others, as its text says.
"""
