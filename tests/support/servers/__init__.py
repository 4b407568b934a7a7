"""Servers of tests: this package's and DRUM's as processes, upstream services, and faults for them."""
