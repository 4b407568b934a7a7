"""DataRobot's runtime parameters: their variables, their file, and DRUM's texts for invalid ones.

A model worker imports this package too, for ``RuntimeParameters`` in hooks.
"""
