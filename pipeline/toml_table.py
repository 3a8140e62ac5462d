"""TOML tables read into frozen dataclasses: the fields say which keys exist, their readers what is allowed.

A reader is a function `read(value, place)` that gives the parsed value or raises `place.wrong(...)`.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from pipeline.user_error import UserError

Table = TypeVar("Table")
Reader = Callable[[Any, "Place"], Any]

SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Place:
    """Where in which file a value stands; makes the errors that point there."""

    file: str
    key: str = ""

    def at(self, key: str) -> "Place":
        return Place(self.file, f"{self.key}.{key}" if self.key else key)

    def error(self, message: str) -> UserError:
        return UserError(f"{self.file}: {self.key}: {message}" if self.key else f"{self.file}: {message}")

    def wrong(self, expected: str, value: Any) -> UserError:
        return self.error(f"expected {expected}, got {_shown(value)}")


def entry(read: Reader, *, key: str | None = None, default: Any = MISSING, default_factory: Any = MISSING) -> Any:
    """A dataclass field read from `key` (else the field's name); without a default the key is required."""
    return field(default=default, default_factory=default_factory, metadata={"read": read, "key": key})


def read_table(kind: type[Table], table: Any, place: Place, **given: Any) -> Table:
    """The dataclass `kind` from a TOML table; `given` are its fields that do not come from the table.

    Raises:
        UserError: not a table, an unknown or missing key, a value its reader refuses.
    """
    if not isinstance(table, dict):
        raise place.wrong("a table of keys and values", table)
    read_fields = [one for one in fields(kind) if "read" in one.metadata]
    refuse_unknown(table, [_key(one) for one in read_fields], place)
    for one in read_fields:
        if _key(one) in table:
            given[one.name] = one.metadata["read"](table[_key(one)], place.at(_key(one)))
        elif _is_required(one):
            raise place.at(_key(one)).error(f"missing; required here: {_listed(_required(read_fields))}")
    return kind(**given)


def refuse_unknown(names: Iterable[str], allowed: Iterable[str], place: Place) -> None:
    """Raises a UserError with the nearest allowed name for the first name that is not allowed."""
    allowed = list(dict.fromkeys(allowed))
    for name in names:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f'did you mean "{near[0]}"? ' if near else ""
            raise place.at(name).error(f"unknown key; {hint}allowed: {_listed(allowed)}")


def text(value: Any, place: Place) -> str:
    if not isinstance(value, str) or not value.strip():
        raise place.wrong("a text", value)
    return value


def flag(value: Any, place: Place) -> bool:
    if not isinstance(value, bool):
        raise place.wrong("true or false", value)
    return value


def text_of_one_character(value: Any, place: Place) -> str:
    if not isinstance(value, str) or len(value) != 1:
        raise place.wrong("one character", value)
    return value


def choice(*allowed: str) -> Reader:
    def read(value: Any, place: Place) -> str:
        if value not in allowed:
            near = difflib.get_close_matches(str(value), allowed, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise place.error(f"expected one of {_listed(allowed)}, got {_shown(value)}{hint}")
        return value

    return read


def whole(minimum: int, maximum: int | None = None) -> Reader:
    def read(value: Any, place: Place) -> int:
        if not _is_int(value) or value < minimum or (maximum is not None and value > maximum):
            raise place.wrong(f"a whole number {_range(minimum, maximum)}", value)
        return value

    return read


def number(minimum: float = -math.inf, maximum: float = math.inf, *, above: float = -math.inf) -> Reader:
    """Finite numbers in minimum..maximum, greater than `above`."""

    def read(value: Any, place: Place) -> float:
        fits = (_is_int(value) or isinstance(value, float)) and math.isfinite(value)
        if not fits or not minimum <= value <= maximum or value <= above:
            bound = f" above {above:g}" if above > -math.inf else ""
            limits = f" {_range(minimum, maximum)}" if max(minimum, -maximum) > -math.inf else ""
            raise place.wrong(f"a number{bound}{limits}", value)
        return float(value)

    return read


def list_of(read_one: Reader, *, size: int | None = None) -> Reader:
    """A TOML array as a tuple; never empty, of exactly `size` members where that is given."""

    def read(value: Any, place: Place) -> tuple:
        if not isinstance(value, list) or not value or (size is not None and len(value) != size):
            raise place.wrong(f"a list of {size} values" if size else "a list with at least one value", value)
        return tuple(read_one(member, place) for member in value)

    return read


def member(index: int, read_list: Reader) -> Reader:
    """One member of a list, for keys that fill several fields."""
    return lambda value, place: read_list(value, place)[index]


def tables_of(kind: type[Table]) -> Reader:
    """An array of tables as a tuple of dataclasses; errors name the table by its `name` where it has one."""

    def read(value: Any, place: Place) -> tuple[Table, ...]:
        if not isinstance(value, list) or not value:
            raise place.wrong(f"one or more [[{place.key}]] tables", value)
        return tuple(read_table(kind, one, _numbered(place, index, one)) for index, one in enumerate(value))

    return read


def table_of(kind: type[Table]) -> Reader:
    return lambda value, place: read_table(kind, value, place)


def numbers_by_name(*names: str) -> Reader:
    """A table of optional numbers, each of at least 0, as a dict."""

    def read(value: Any, place: Place) -> dict[str, float]:
        if not isinstance(value, dict):
            raise place.wrong("a table of keys and values", value)
        refuse_unknown(value, names, place)
        return {name: number(0.0)(one, place.at(name)) for name, one in value.items()}

    return read


def duration(value: Any, place: Place) -> float:
    """Seconds; whole milliseconds, above 0."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)", value) if isinstance(value, str) else None
    seconds = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if seconds <= 0 or abs(seconds * 1000 - round(seconds * 1000)) > 1e-6:
        raise place.wrong('a duration of whole milliseconds such as "500ms", "1s", "5min", "1h" or "1d"', value)
    return round(seconds * 1000) / 1000


def signed_duration(value: Any, place: Place) -> float:
    """Seconds, below 0 with a minus in front: "-1d" is a day before."""
    if isinstance(value, str) and value.startswith("-"):
        return -duration(value[1:], place)
    return duration(value, place)


def moment(value: Any, place: Place) -> float:
    """Seconds since 1970-01-01; a time without an offset is read as UTC."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if not isinstance(value, date):
            raise TypeError(value)
        if not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
    except (TypeError, ValueError):
        raise place.wrong("a date or a date-time such as 2017-09-01 or 2017-09-01T12:00:00", value) from None
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _numbered(place: Place, index: int, table: Any) -> Place:
    name = table.get("name") if isinstance(table, dict) else None
    label = f'"{name}"' if isinstance(name, str) and name.strip() else index + 1
    return Place(place.file, f"{place.key}[{label}]")


def _key(one: Field) -> str:
    return one.metadata["key"] or one.name


def _required(read_fields: list[Field]) -> list[str]:
    return [_key(one) for one in read_fields if _is_required(one)]


def _is_required(one: Field) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _range(minimum: float, maximum: float | None) -> str:
    if maximum is None or maximum == math.inf:
        return f"of at least {minimum:.10g}"
    return f"from {minimum:.10g} to {maximum:.10g}" if minimum > -math.inf else f"of at most {maximum:.10g}"


def _shown(value: Any) -> str:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
