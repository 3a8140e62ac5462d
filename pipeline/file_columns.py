"""Which column of a file is which of the scenario: by name, in any order, with or without a unit in the header."""

import re
from collections.abc import Sequence

from pipeline.row_schema import read_columns, stream_column
from pipeline.scenario import Column, Scenario
from pipeline.user_error import UserError

WITH_UNIT = re.compile(r"\s*(.*?)\s*[(\[]([^()\[\]]*)[)\]]\s*")


def file_columns(path: str, header: Sequence[str], scenario: Scenario) -> dict[str, str]:
    """The name in the scenario -> the name in this file; optional columns that the file lacks are left out.

    Raises:
        UserError: a column is missing, there twice, or in another unit than the scenario says.
    """
    found = {}
    for name in filter(None, (scenario.data.time, stream_column(scenario))):
        found[name] = _header_of(path, name, header, scenario)
    for column in read_columns(scenario):
        given = _header_of(path, column.header or column.name, header, scenario, column.optional)
        if given is not None:
            found[column.name] = given
            _check_unit(path, given, column)
    return found


def _header_of(path: str, name: str, header: Sequence[str], scenario: Scenario, optional: bool = False) -> str | None:
    same = [one for one in header if one == name] or [one for one in header if _bare(one) == name]
    if len(same) > 1:
        raise UserError(f'{path}: the column "{name}" is there {len(same)} times; leave one')
    if same or optional:
        return same[0] if same else None
    hint = ""
    if len(header) == 1 and any(other in header[0] for other in ",;\t|"):
        other = next(other for other in ";\t|," if other in header[0])
        hint = f"; the header holds {other!r}: is data.delimiter = {scenario.data.delimiter!r} right?"
    present = ", ".join(header[:40]) + (f" and {len(header) - 40} more" if len(header) > 40 else "")
    raise UserError(f'{path}: has no column "{name}"; present: {present}{hint}')


def _bare(header: str) -> str:
    """A header without its unit: `speed [m/s]`, `speed (m/s)` and ` speed` are all `speed`."""
    match = WITH_UNIT.fullmatch(header)
    return match[1] if match else header.strip()


def _check_unit(path: str, header: str, column: Column) -> None:
    match = WITH_UNIT.fullmatch(header)
    unit = match[2].strip() if match else ""
    if unit and unit != column.unit and header not in (column.name, column.header):
        raise UserError(
            f'{path}: the column "{header}" is in {unit}, the scenario says unit = "{column.unit}"; correct the unit,'
            f" or if both are the same say header = {header!r}"
        )
