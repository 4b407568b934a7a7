"""``python -m drum_litestar.tools.conformance`` is ``drum-litestar conformance``."""

import sys

from drum_litestar.cli.main import main

sys.exit(main(["conformance", *sys.argv[1:]]))
