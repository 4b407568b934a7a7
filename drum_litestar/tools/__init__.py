"""Commands ``check`` and ``compare``, which examine an environment or running servers from outside, and ``build``."""
