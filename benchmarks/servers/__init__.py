"""Servers under test: their environments, their processes, and the machine."""
