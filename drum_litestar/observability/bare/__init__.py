"""Spans at a fraction of the SDK's cost, for the SDK's own processors and exporters.

Nearly every span of a served request is bare: a name, a parent and two times. ``tracer.py`` has a provider that keeps
those as tuples (``spans.py``), which leave together, as one item for its processor, when the request or the model's
call has ended; ``encoder.py`` writes them. Whoever asks for more (an attribute, an event, a status) gets a span of the
SDK with the same ids, and everything else (samplers, limits, resource, hooks' own tracers) is the SDK's.
"""
