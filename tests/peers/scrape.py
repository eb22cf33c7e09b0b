"""Reads Prometheus's text format on standard input by its own parser, and prints a line for each sample.

Each is "NAME{LABEL=VALUE,...} VALUE", labels sorted; a family with samples under other names than its own is an error.
"""

import sys

from prometheus_client.parser import text_string_to_metric_families

names = set()
for family in text_string_to_metric_families(sys.stdin.read()):
    if family.name in names or family.type not in ("counter", "gauge", "histogram") or not family.documentation:
        sys.exit(f"{family.name}: twice, or of type {family.type}, or without help")
    names.add(family.name)
    for sample in family.samples:
        if not sample.name.startswith(family.name):
            sys.exit(f"{sample.name} in {family.name}")
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        print(f"{sample.name}{{{labels}}} {sample.value:g}")
