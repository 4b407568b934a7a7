"""What a model folder says before any of its code runs: files, language, metadata, targets, options.

Both predictors, the launcher and the checks read a folder through this package. It imports no code of the user's.
"""
