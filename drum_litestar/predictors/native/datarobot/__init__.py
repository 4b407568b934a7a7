"""Services of the DataRobot platform for a model: monitoring, moderation, lazy loading, API access.

All are optional. A library is imported only when the model folder or the options need it.
"""
