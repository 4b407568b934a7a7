"""``benchmarks`` is no part of the installed package: it is found in the checkout, after what is installed."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[3])
if ROOT not in sys.path:
    sys.path.append(ROOT)
