"""Adapter over the predictors of ``datarobot_drum``, for models that the native predictor does not serve.

Only this package and ``drum_hook`` import ``datarobot_drum``.
"""
