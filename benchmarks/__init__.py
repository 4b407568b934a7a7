"""Benchmarks of this server beside DRUM's and others: ``python -m benchmarks --help``.

::

    workload/      scenarios, the tables that are sent, the model folders that all contenders serve, requests
    contenders/    the measured servers: one file for each, its application in apps/
    servers/       a virtual environment for each contender, its processes, the machine
    load/          load generators: closed loop (wrk), open loop, chat clients, probes, an upload, calls that hang
    runner/        the interleaved run (A B A B), its plan and progress; plain_loop.py: the predictor without a server
    report/        the result, its comparison with another one, Markdown (lead.py: its first table) and plots
    results/       the published results
    soak.py        an hour of mixed load with faults, a command of its own; its parts are in soak_run/
    costs/         measurements of their own: stack_cost.py, observability_cost.py, spans_lost.py, queue_memory.py,
                   columnar_memory.py, slow_loris.py, storm.py, tls_scan.sh; waiting_time.py: a simulation with
                   measured times

Needs the extra ``compare`` (rich, matplotlib) and wrk (``apt-get install wrk``).
"""
