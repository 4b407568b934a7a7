"""Write the alert rules of ``deploy/alerts.yml`` as an object for the Prometheus operator.

python scripts/prometheus_rule.py [--write]     (without: print it)
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy" / "alerts.yml"
OBJECT = ROOT / "deploy" / "kubernetes" / "components" / "monitoring" / "prometheusrule.yaml"
HEAD = """\
# Generated from deploy/alerts.yml by scripts/prometheus_rule.py --write.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: drum-model
spec:
"""


def prometheus_rule() -> str:
    """The object's text."""
    rules = "".join(line for line in RULES.read_text().splitlines(keepends=True) if not line.startswith("#"))
    return HEAD + textwrap.indent(rules, "  ")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the file instead of printing it")
    if parser.parse_args().write:
        OBJECT.write_text(prometheus_rule())
    else:
        print(prometheus_rule(), end="")


if __name__ == "__main__":
    main()
