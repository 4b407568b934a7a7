"""From bytes to frames and back: CSV, MTX, Arrow, DRUM's JSON layouts, multipart; checks of predictions and schemas.

Nothing here calls a hook or a model.
"""
