"""The HTTP/1.1 protocol: limits, framing and closing of connections.

It is given to uvicorn through the public parameter ``http=``. It depends neither on routes nor on models.
"""
