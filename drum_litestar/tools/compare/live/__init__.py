"""Comparison on live traffic: the proxy, and the modes recording, shadow and canary on it."""
