"""A real Ray, in a process of its own, for tests and benchmarks."""
