"""What is known of a model folder before any of its code runs: files, language, metadata, targets, options.

Both predictors, the launcher and ``drum-litestar check`` read a folder through this package. It imports no user code,
no framework, and nothing of ``native``.
"""
