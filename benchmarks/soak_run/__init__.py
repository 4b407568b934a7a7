"""The parts of ``benchmarks/soak.py``: requests, faults, samples of the processes, growth, report."""
