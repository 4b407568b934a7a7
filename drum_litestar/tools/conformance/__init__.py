"""Conformance suite for the Open Inference Protocol (V2) over HTTP and the binary tensor extension, for any server.

Nothing here knows which server answers. Requests are built from the model's metadata, or from an example of a request.
"""
