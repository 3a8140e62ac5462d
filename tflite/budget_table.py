"""The table of a scenario's gates, for people: on a terminal, in a log file, in CI."""

import os
import sys

from tflite.figure_text import figure_text


def margin_text(gate):
    """By how much a gate holds or is broken, absolute and relative to the budget."""
    if gate.margin is None:
        return gate.reason or "the budget is not a finite number"
    if gate.margin == 0:
        return "nothing to spare"
    size = abs(gate.margin)
    number = f"{100 * size:.2f} points" if gate.unit == "%" else figure_text(size, gate.unit)
    room = "to spare" if gate.margin >= 0 else ("short" if gate.at_least else "over")
    share = f" ({100 * size / abs(gate.allowed):.1f} % of it)" if gate.allowed else ""
    return f"{number} {room}{share}"


def print_gates(name, checked, file=None):
    """Print the gates as a table and one closing sentence.

    Args:
        name: the scenario.
        checked: list of Gate.
        file: where to print; default stdout. Not a terminal, or in CI: 100 columns or more, no colours.
    """
    console = _console(file or sys.stdout)
    if checked:
        console.print(_table(name, checked))
    console.print(verdict(name, checked), highlight=False, soft_wrap=True)


def _console(file):
    from rich.console import Console

    terminal = file.isatty() and not os.environ.get("CI")
    return Console(
        file=file,
        force_terminal=terminal,
        no_color=not terminal,
        width=None if terminal else 118,
        legacy_windows=False,
    )


def _table(name, checked):
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"budgets of {name}"), box=box.SIMPLE, title_justify="left", pad_edge=False)
    for heading, side in (
        ("budget", "left"),
        ("model", "left"),
        ("measured", "right"),
        ("allowed", "right"),
        ("by how much", "left"),
        ("", "left"),
    ):
        table.add_column(heading, justify=side, overflow="fold")
    for gate in checked:
        bound = "at least" if gate.at_least else "at most"
        table.add_row(
            Text(gate.budget),
            Text(gate.model),
            Text(figure_text(gate.measured, gate.unit)),
            Text(f"{bound} {figure_text(gate.allowed, gate.unit)}"),
            Text(margin_text(gate)),
            _mark(gate),
        )
    return table


def _mark(gate):
    from rich.text import Text

    if gate.skipped:
        return Text("skipped", "yellow")
    return Text("ok", "green") if gate.ok else Text("BROKEN", "bold red")


def verdict(name, checked):
    """One sentence: all hold, or which ones are broken."""
    broken = [gate.budget for gate in checked if not gate.ok]
    if not checked:
        return f"{name}: the scenario sets no budgets, nothing was checked"
    skipped = sum(gate.skipped for gate in checked)
    if skipped and not broken:
        return f"{name}: {len(checked) - skipped} budgets hold, {skipped} were not measured on this machine"
    if not broken:
        return f"{name}: all {len(checked)} budgets hold"
    return f"{name}: {len(broken)} of {len(checked)} budgets broken: {', '.join(broken)}"
