"""The OpenAPI document of the routes that the loaded model serves, and the pages that show it.

What a route takes and answers is an ``Operation`` in its row of the table of routes.
"""
