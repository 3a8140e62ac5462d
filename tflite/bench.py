"""Speed against a rival: what an entry of a bench is, and how it is printed."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

FILE_WIDTH = 140  # of a table that goes into a file or a pipe, where nobody can widen it
# {name, unit, ours, rival, rival_name, ratio{min, median, max}}
Entry = dict[str, object]


def print_bench(entries: Sequence[Entry]) -> None:
    """A table on stdout, an entry per row."""
    table = Table("what", "ours", "rival", "rival's name", "ratio (min .. max)", title="bench")
    for entry in entries:
        ratio, unit = entry["ratio"], entry["unit"]
        table.add_row(
            entry["name"],
            f"{entry['ours']:.2f} {unit}",
            f"{entry['rival']:.2f} {unit}",
            entry["rival_name"],
            f"{ratio['median']:.3g} ({ratio['min']:.3g} .. {ratio['max']:.3g})",
        )
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)
