"""This server inside other systems that run servers themselves."""
