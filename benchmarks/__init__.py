"""Benchmarks of this server beside DRUM's and others: ``python -m benchmarks --help``.

::

    scenarios.py      what is asked: model, request, connections
    models.py         the model folders that everybody serves
    contenders/       who is asked: one file for each server, its application in apps/
    environments.py   a virtual environment for each, built once
    question.py       a request
    process.py        a running server: start, first prediction, CPU time, memory, stop
    load/             who asks: closed loop (wrk), open loop, chat clients, probes, an upload
    measure.py        one scenario on one running server
    plain_loop.py     the limit: the predictor without any server
    plan.py           the order of a run (A B A B) and the time left
    run.py            the run; progress.py shows it, machine.py says where it was
    results.py        what is kept, medians, ratios
    compare.py        what changed between two results
    report/           Markdown and plots

``stack_cost.py``, ``slow_loris.py``, ``storm.py`` and ``tls_scan.sh`` are measurements of their own.

Needs the extra ``compare`` (rich, matplotlib) and wrk (``apt-get install wrk``).
"""
