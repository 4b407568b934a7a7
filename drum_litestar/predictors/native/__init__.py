"""The native predictor: serves Python model folders without ``datarobot_drum``.

Here: start-up, the loaded model, and the predictor that hands each call to its package ``calls``.
"""
