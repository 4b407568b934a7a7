"""Bodies of requests and answers as Structs.

The code reads and fills them, and the OpenAPI document has their schemas, so that the two cannot differ. Both processes
import them. Docstrings are descriptions in the document. A field without which a body is as under DRUM is ``UNSET``.
"""
