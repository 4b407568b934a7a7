"""Fast paths. Each returns bit-identical results to the general code, or None.

Removing one must not change an answer.
"""
