"""Command ``build``: the build context of an image with a model folder, and the builder that makes it.

``Containerfile`` is ``deploy/container/Containerfile``. ``healthcheck`` is what the image runs to see whether its
server is ready; it imports nothing of the server.
"""
