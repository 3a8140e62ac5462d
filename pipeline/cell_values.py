"""Cells -> numbers and times, each judged alone: a bad cell never takes its neighbours along."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING = pa.array(["", "na", "n/a", "nan", "null", "none"])
ZONE = r"[Tt ]\d{2}:?\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"
FINER_THAN_MS = r"(\.\d{3})\d+"
SECONDS = r"^[+-]?\d+(\.\d*)?$"
MOST_SECONDS = 1e11  # the year 5138; beyond are milliseconds or nonsense


@dataclass(frozen=True)
class Cells:
    """`values` (n,): float64 with NaN, or int64 epoch ms; `missing` and `unreadable` (n,): bool masks."""

    values: np.ndarray
    missing: np.ndarray
    unreadable: np.ndarray


def read_numbers(cells: pa.Array) -> Cells:
    """Real numbers; an empty cell, NA, NaN or null is missing. Infinities are read as such."""
    if _is_text(cells.type):
        missing, numbers = _read_text(cells, pa.float64())
    elif _is_number(cells.type):
        missing, numbers = pc.is_null(cells), pc.cast(cells, pa.float64())
    else:
        missing, numbers = pc.is_null(cells), pa.nulls(len(cells), pa.float64())
    return _cells(numbers, missing, np.nan)


def read_times(cells: pa.Array) -> Cells:
    """Epoch milliseconds (finer parts cut off) of ISO times, or of seconds since the epoch or since a start.

    Without an offset an ISO time is read as UTC.
    """
    if _is_text(cells.type):
        missing, times = _read_text(cells, pa.timestamp("ms"))
    elif pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        missing, times = pc.is_null(cells), pc.cast(cells, pa.timestamp("ms"), safe=False)
    elif _is_number(cells.type):
        missing, times = pc.is_null(cells), _seconds_to_times(pc.cast(cells, pa.float64()))
    else:
        missing, times = pc.is_null(cells), pa.nulls(len(cells), pa.timestamp("ms"))
    return _cells(pc.cast(times, pa.int64()), missing, 0)


def shown(cell: pa.Scalar) -> str:
    """A cell for the eye of the user, cut to 200 characters."""
    value = cell.as_py()
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)
    return text[:200]


def read_text(cells: pa.Array) -> pa.Array:
    """Trimmed text; missing and undecodable cells are null."""
    return pc.utf8_trim_whitespace(_cast_each(cells, pa.string()))


def _cells(values: pa.Array, missing: pa.Array, filler: float) -> Cells:
    missing = missing.to_numpy(zero_copy_only=False)
    unreadable = pc.is_null(values).to_numpy(zero_copy_only=False) & ~missing
    return Cells(pc.fill_null(values, filler).to_numpy(zero_copy_only=False), missing, unreadable)


def _read_text(cells: pa.Array, kind: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """(missing, values) of text cells; values are null where they are missing or unreadable."""
    try:
        values = pc.cast(pc.cast(cells, pa.string()), kind)  # the quick way, for batches without a flaw
        if pa.types.is_floating(kind):
            missing = pc.fill_null(pc.is_nan(values), True)
            return missing, values
        return pc.is_null(values), values
    except pa.ArrowInvalid:
        text = read_text(cells)
    missing = pc.or_(pc.is_null(cells), pc.fill_null(pc.is_in(pc.utf8_lower(text), MISSING), False))
    text = pc.if_else(missing, pa.scalar(None, pa.string()), text)
    return missing, _cast_each(text, kind) if pa.types.is_floating(kind) else _cast_times(text)


def _seconds_to_times(seconds: pa.Array) -> pa.Array:
    """Timestamps in ms; null where a number cannot be a time."""
    sane = pc.fill_null(pc.less(pc.abs(seconds), MOST_SECONDS), False)
    milliseconds = pc.floor(pc.multiply(pc.if_else(sane, seconds, pa.scalar(None, pa.float64())), 1000.0))
    return pc.cast(pc.cast(milliseconds, pa.int64()), pa.timestamp("ms"))


def _cast_times(text: pa.Array) -> pa.Array:
    counted = pc.fill_null(pc.match_substring_regex(text, SECONDS), False)
    seconds = pc.cast(pc.if_else(counted, text, pa.scalar(None, pa.string())), pa.float64())
    return pc.coalesce(_cast_iso(pc.if_else(counted, pa.scalar(None, pa.string()), text)), _seconds_to_times(seconds))


def _cast_iso(text: pa.Array) -> pa.Array:
    text = pc.replace_substring_regex(text, FINER_THAN_MS, r"\1")
    zoned = pc.fill_null(pc.match_substring_regex(text, ZONE), False)
    nothing = pa.scalar(None, pa.string())
    plain = _cast_each(pc.if_else(zoned, nothing, text), pa.timestamp("ms"))
    with_zone = _cast_each(pc.if_else(zoned, text, nothing), pa.timestamp("ms", tz="UTC"))
    return pc.coalesce(plain, pc.cast(with_zone, pa.timestamp("ms")))


def _cast_each(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    """Casts each cell that can be cast, the others become null; a failing array is halved until found."""
    try:
        return pc.cast(cells, kind)
    except pa.ArrowInvalid:
        if len(cells) == 1:
            return pa.nulls(1, kind)
        half = len(cells) // 2
        return pa.concat_arrays([_cast_each(cells[:half], kind), _cast_each(cells[half:], kind)])


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        test(kind)
        for test in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_binary,
            pa.types.is_large_binary,
        )
    )


def _is_number(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_decimal,
            pa.types.is_boolean,
            pa.types.is_null,
        )
    )
