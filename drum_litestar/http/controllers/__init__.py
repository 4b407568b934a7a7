"""Endpoints of the routes that are no plain call of the model, by family: ``(service, request)`` to response."""
