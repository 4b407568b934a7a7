"""Open Inference Protocol (V2) on the side of the model: requests to tables, predictions to answers, and the metadata.

Nothing here knows HTTP or gRPC: a call is JSON, or JSON and the tensors' bytes, whichever way it came.
"""
