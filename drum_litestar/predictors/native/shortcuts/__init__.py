"""Fast paths that give the same bits as the general way, or decline.

Each one can be left out without changing an answer. What only a fast path can do does not belong here.
"""
