"""Metrics: Prometheus series, ``/stats/``, memory and CPU limits of this process."""
