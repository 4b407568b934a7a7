"""The command line: options and their texts, arguments from the environment, one module for each sub-command.

No part of the server is made here: a command turns its arguments into a plan and hands it to ``launcher`` or ``tools``.
"""
