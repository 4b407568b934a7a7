"""DataRobot's runtime parameters: their variables, their file, and DRUM's texts for invalid ones.

Model workers import this package too, for ``RuntimeParameters`` in hooks.
"""
