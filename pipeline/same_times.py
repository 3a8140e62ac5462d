"""Rows of one stream at one time: the same said twice is merged, something else said is a contradiction."""

from dataclasses import dataclass

import numpy as np

from pipeline.unit_rows import StreamRows

CONTRADICTION = "the time is there already with other values; its first row is kept"


@dataclass(frozen=True, eq=False)
class Judged:
    """Masks (rows,): `kept`, else `merged` or `rejected`."""

    merged: np.ndarray
    rejected: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        return ~(self.merged | self.rejected)


def judge_same_times(rows: StreamRows, keep_others: bool) -> Judged:
    """The first row of each time stays; a later one is merged where it is equal to one before it.

    Args:
        keep_others: rows that say something else stay too, instead of being rejected.
    """
    merged, rejected = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    same = rows.times[1:] == rows.times[:-1]
    if not same.any():
        return Judged(merged, rejected)
    shared = np.flatnonzero(np.append(False, same) | np.append(same, False))
    columns = [rows.times[shared], *(_bits(values[shared]) for values in rows.values.values())]
    table = np.ascontiguousarray(np.stack(columns, axis=1)).view(f"V{8 * len(columns)}").ravel()
    _, firsts = np.unique(table, return_index=True)  # of equal rows the first
    merged[shared] = True
    merged[shared[firsts]] = False
    if not keep_others:
        rejected = ~merged & np.append(False, same)
    return Judged(merged, rejected)


def overlaps(rows: StreamRows, dropped: np.ndarray) -> dict[tuple[str, str], int]:
    """How many of the `dropped` rows another file has too, by (that file, their own)."""
    late = np.flatnonzero(dropped)
    first = np.searchsorted(rows.times, rows.times[late])
    pairs, numbers = np.unique(np.stack([rows.file[first], rows.file[late]]), axis=1, return_counts=True)
    return {
        (rows.files[one], rows.files[other]): int(number)
        for one, other, number in zip(*pairs, numbers, strict=True)
        if one != other
    }


def _bits(values: np.ndarray) -> np.ndarray:
    """int64 that are equal where the numbers are, all NaN alike."""
    wide = values.astype(np.float64) + 0.0  # there is one zero
    wide[np.isnan(wide)] = np.nan
    return wide.view(np.int64)
