"""Command line: options and their texts, arguments from the environment, one module for each sub-command.

A command turns its arguments into a plan for ``launcher`` or ``tools``; the server's parts are not built here.
"""
