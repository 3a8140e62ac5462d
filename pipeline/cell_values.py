"""Cells -> numbers and times, each judged alone: a bad cell never takes its neighbours along."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING = pa.array(["", "na", "n/a", "nan", "null", "none"])
MISSING_SPELLINGS = ["", *(way(one) for one in MISSING.to_pylist()[1:] for way in (str, str.upper, str.title)), "NaN"]
ZONE = r"[Tt ]\d{2}:?\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"
FINER_THAN_MS = r"(\.\d{3})\d+"
SECONDS = r"^[+-]?\d+(\.\d*)?$"
MOST_MILLISECONDS = 1e14  # the year 5138; seconds beyond are milliseconds, or nonsense
NO_TEXT = pa.scalar(None, pa.string())


@dataclass(frozen=True)
class Cells:
    """`values` (n,): float64 or float32 with NaN, or int64 epoch ms; `missing` and `unreadable` (n,): bool masks."""

    values: np.ndarray
    missing: np.ndarray
    unreadable: np.ndarray


@dataclass(frozen=True)
class Times(Cells):
    """`offsets`: of the times that are ISO, whether any came "with" or "without" an offset from UTC."""

    offsets: frozenset[str]


def read_numbers(cells: pa.Array) -> Cells:
    """Real numbers; an empty cell, NA, NaN or null is missing. Infinities are read as such. float32 stays float32."""
    if _is_text(cells.type):
        missing, numbers = _read_text(cells, pa.float64())
    elif _is_number(cells.type):
        kept = pa.float32() if cells.type == pa.float32() else pa.float64()
        missing, numbers = pc.is_null(cells), pc.cast(cells, kept)
    else:
        missing, numbers = pc.is_null(cells), pa.nulls(len(cells), pa.float64())
    return _cells(numbers, missing, np.nan)


def read_times(cells: pa.Array, unit: str = "s") -> Times:
    """Epoch milliseconds (finer parts cut off) of ISO times, or of seconds or ms ("ms") since the epoch or a start.

    Without an offset an ISO time is read as UTC.
    """
    missing, offsets = pc.is_null(cells), frozenset()
    if _is_text(cells.type):
        missing, times, offsets = _read_text_times(cells, unit)
    elif pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        times = pc.cast(cells, pa.timestamp("ms", getattr(cells.type, "tz", None)), safe=False)
        offsets = frozenset(["with" if getattr(cells.type, "tz", None) else "without"])
    elif _is_number(cells.type):
        numbers = pc.cast(cells, pa.float64())
        times = _numbers_to_times(numbers, unit)
    else:
        times = pa.nulls(len(cells), pa.timestamp("ms"))
    read = _cells(pc.cast(times, pa.int64()), missing, 0)
    return Times(read.values, read.missing, read.unreadable, offsets)


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
        return pc.fill_null(pc.is_nan(values), True), values
    except pa.ArrowInvalid:
        missing, text = _present_text(cells)
    return missing, _cast_each(text, kind)


def _present_text(cells: pa.Array) -> tuple[pa.Array, pa.Array]:
    """(missing, trimmed text); the text is null where it is missing or undecodable."""
    text = read_text(cells)
    missing = pc.or_(pc.is_null(cells), pc.fill_null(pc.is_in(pc.utf8_lower(text), MISSING), False))
    return missing, pc.if_else(missing, NO_TEXT, text)


def _read_text_times(cells: pa.Array, unit: str) -> tuple[pa.Array, pa.Array, frozenset[str]]:
    """(missing, times, offsets); times are null where they are missing or unreadable."""
    try:
        times = pc.cast(pc.cast(cells, pa.string()), pa.timestamp("ms"))
        return pc.is_null(times), times, frozenset(["without"])
    except pa.ArrowInvalid:
        missing, text = _present_text(cells)
    counted = pc.fill_null(pc.match_substring_regex(text, SECONDS), False)
    numbers = pc.cast(pc.if_else(counted, text, NO_TEXT), pa.float64())
    iso = pc.replace_substring_regex(pc.if_else(counted, NO_TEXT, text), FINER_THAN_MS, r"\1")
    zoned = pc.fill_null(pc.match_substring_regex(iso, ZONE), False)
    plain = _cast_each(pc.if_else(zoned, NO_TEXT, iso), pa.timestamp("ms"))
    with_zone = pc.cast(_cast_each(pc.if_else(zoned, iso, NO_TEXT), pa.timestamp("ms", tz="UTC")), pa.timestamp("ms"))
    offsets = {"with": with_zone, "without": plain}
    seen = frozenset(name for name, times in offsets.items() if times.null_count < len(times))
    return missing, pc.coalesce(plain, with_zone, _numbers_to_times(numbers, unit)), seen


def _numbers_to_times(numbers: pa.Array, unit: str) -> pa.Array:
    """Timestamps in ms; null where a number cannot be a time."""
    milliseconds = numbers if unit == "ms" else pc.multiply(numbers, 1000.0)
    sane = pc.fill_null(pc.less(pc.abs(milliseconds), MOST_MILLISECONDS), False)
    return pc.cast(
        pc.cast(pc.floor(pc.if_else(sane, milliseconds, pa.scalar(None, pa.float64()))), pa.int64()),
        pa.timestamp("ms"),
    )


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
    types = pa.types
    texts = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in texts)


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    numbers = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null)
    return any(test(kind) for test in numbers)
