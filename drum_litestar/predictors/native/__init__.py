"""The native predictor: serves Python model folders without ``datarobot_drum``.

Here: start-up, the review of a folder without loading it, default concurrency, and the predictor, which passes each
call to a handler in ``calls``. The handlers use ``datarobot``, ``formats``, ``shortcuts``, ``frameworks``, ``hooks``.
"""
