"""Interface to user code: the module ``custom.py``, its hooks and ``CustomTask``, and the values that they receive.

Nothing here depends on the formats of requests and answers.
"""
