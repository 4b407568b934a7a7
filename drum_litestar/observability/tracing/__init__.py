"""OpenTelemetry spans of requests and of the calls that they make to the model, in both processes."""
