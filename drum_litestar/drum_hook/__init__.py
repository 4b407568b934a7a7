"""Hook that makes ``drum server`` run this backend when the server type, or the environment's default, selects it.

``drum_litestar_hook.pth`` is installed beside the package. Its one line puts a finder on ``sys.meta_path`` that only
compares a name, until ``datarobot_drum.drum.entry_point`` is imported, as the ``drum`` script does. The line is written
for speed, because every Python process of the environment compiles it. A failure of the hook causes one warning, and
DRUM's own module is used. ``drum-litestar hook`` turns the line into a comment and back, and changes the words in it
that make this backend the environment's default.
"""
