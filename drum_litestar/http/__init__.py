"""The HTTP interface: the Litestar application, its routes, request bodies and responses.

It reaches the model only through an executor. Importing it imports Litestar, protected from modules of the same names
in the model's folder or environment.
"""

from drum_litestar.name_clashes import own_modules

with own_modules():
    import litestar  # noqa: F401
