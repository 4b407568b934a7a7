"""The HTTP/1.1 protocol: one connection from its first byte to its last, behind uvicorn's ``http=`` parameter.

Knows ASGI, httptools and asyncio, and no route, model or setting.
"""
