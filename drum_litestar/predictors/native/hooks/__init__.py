"""Interface to user code: the module ``custom.py``, its hooks and ``CustomTask``, and the values that they receive.

Nothing here knows the formats of requests and answers.
"""
