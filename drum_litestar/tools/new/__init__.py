"""``drum-litestar new``: model folders that serve as they are, and teach what each hook is for."""
