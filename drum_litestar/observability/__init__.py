"""What operators see: logs, metrics, traces. The other packages report through protocols of their own.

``worker_setup.py`` joins the three for a model worker. No module here may be needed to answer a request.
"""
