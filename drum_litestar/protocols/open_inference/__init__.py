"""The Open Inference Protocol over HTTP: V2 under ``/v2``, and KServe's V1 under ``/v1/models/<name>``.

Requests become ``infer`` and ``infer_v1`` calls with their bodies as they came; the worker reads them.
"""
