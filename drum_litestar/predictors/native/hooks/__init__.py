"""What user code touches: the module ``custom.py``, its hooks, and the values that hooks receive."""
