"""The HTTP/1.1 protocol: what a connection may do, before and after the application sees a request.

It passes uvicorn's public ``http=`` parameter. It knows neither routes nor models.
"""
