"""Makes DRUM's own ``drum server`` command choose this backend when the server type, or the environment's default, asks
for it.

``drum_litestar_hook.pth`` is installed beside the package. Its one line puts a finder on ``sys.meta_path`` that
compares a name and does nothing else, until somebody imports ``datarobot_drum.drum.entry_point``, which the ``drum``
script does. It is written for speed, because every Python process of the environment compiles it; what goes wrong
behind it ends in one warning and DRUM's own module. ``drum-litestar hook`` changes the line: into a comment and back,
and the word in it that makes this backend the environment's default.
"""
