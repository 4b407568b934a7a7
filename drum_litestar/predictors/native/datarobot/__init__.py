"""Services of the DataRobot platform for a model: monitoring, moderation, lazy loading, API access.

Every one of them is optional, and its library is imported only when a model folder or its environment asks for it.
"""
