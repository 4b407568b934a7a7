"""OpenAI's routes that DRUM does not have: ``/v1/completions`` and ``/v1/embeddings``.

The openai package is never imported. Chat, which DRUM has, is in ``calls/chat.py``.
"""
