"""``python -m drum_litestar``: the command line without the console script."""

import sys

from drum_litestar.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
