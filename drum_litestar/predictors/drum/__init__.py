"""The adapter over ``datarobot_drum``'s own predictors, for what the native predictor does not serve.

The only package, besides ``drum_hook``, that imports ``datarobot_drum``.
"""
