"""Comparing on live traffic: the proxy, and what recording, shadow and canary make of it."""
