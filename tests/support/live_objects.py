"""Counts objects that are alive."""

from __future__ import annotations

import gc


def live(*kinds: type) -> int:
    """How many objects of ``kinds`` there are, subclasses left out.

    ``isinstance`` would also ask an object for its ``__class__``, which objects of other packages make warn.
    """
    return sum(type(one) in kinds for one in gc.get_objects())
