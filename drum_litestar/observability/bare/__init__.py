"""Spans at a fraction of the SDK's cost, for the SDK's own processors and exporters.

Nearly every span of a served request is bare: a name, a parent and two times. ``tracer.py`` has a provider that keeps
those as tuples (``spans.py``). They leave together when the request has ended, as one item for its processor with
those of a few others (``ended.py``); those of the model's process (``call.py``) come with its answer. ``encoder.py``
writes them, ``exporter.py`` sets how many make one item. A bare span that is asked for more (an attribute, an event, a
status) becomes a span of the SDK with the same ids, and everything else (samplers, limits, resource, hooks' own
tracers) is the SDK's.
"""
