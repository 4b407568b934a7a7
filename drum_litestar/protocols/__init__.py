"""Other protocols than DRUM's over the same executor: their routes, and what turns their requests into calls.

A body is not parsed here. Nothing here knows the pool, a concrete predictor, or the launcher.
"""
