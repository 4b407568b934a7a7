"""Everything that knows models: the protocol of a predictor, how one is described and built, and the two predictors.

Bytes in, bytes out. Nothing here knows HTTP, worker processes, or who observes a call.
"""
