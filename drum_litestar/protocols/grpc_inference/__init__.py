"""The Open Inference Protocol over gRPC: a listener whose calls go through the middleware stack as requests do.

Imported only with ``DRUM_GRPC_ADDRESS``, because it needs the extra ``grpc``.
"""
