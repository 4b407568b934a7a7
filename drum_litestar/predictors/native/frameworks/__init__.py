"""Built-in frameworks: recognising an artifact, loading it, predicting with it.

A framework is imported only when an artifact needs it.
"""
