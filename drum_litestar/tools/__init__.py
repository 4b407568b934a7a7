"""Commands that look at a server or an environment from outside: ``check`` and ``compare``."""
