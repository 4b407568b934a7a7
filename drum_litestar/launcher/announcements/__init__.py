"""What the server tells its operator of a start: the progress of the load, and what is ready, where, and how to ask it.

Nothing here decides anything: it reads the plan, the sockets, the card and the executor's state.
"""
