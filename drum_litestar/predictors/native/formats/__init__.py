"""Bytes to frames and back: CSV, Matrix Market, the JSON layouts, multipart; validation of predictions and schemas.

Nothing here calls a model. The only hook called is ``read_input_data``.
"""
