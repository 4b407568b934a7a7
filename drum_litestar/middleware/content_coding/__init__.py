"""Content codings (RFC 9110, 8.4): compressed request bodies are undone, answers are compressed on request."""
