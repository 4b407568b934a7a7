"""The HTTP interface. Importing it imports Litestar, with the modules that Litestar needs."""

from drum_litestar.name_clashes import own_modules

with own_modules():
    import litestar  # noqa: F401
