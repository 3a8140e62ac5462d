"""Where a stream's segments begin: each is run from a reset."""

import numpy as np


class SegmentNumbers:
    """Numbers the rows of one stream, block after block in the order of time, from 0.

    A hole longer than `max_gap_ms` begins a new segment (None: no hole does), and so does every change of the mark.
    """

    def __init__(self, max_gap_ms: int | None):
        self._max_gap_ms = max_gap_ms
        self._last: tuple[int, int] | None = None  # time and mark of the row before
        self._number = -1

    def of(self, times: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of every row's segment, and whether the row begins it.

        Args:
            times: (rows,) epoch ms. marks: (rows,) integers.
        """
        first = self._last is None
        time, mark = (times[0], marks[0]) if first else self._last
        begins = np.diff(marks, prepend=mark) != 0
        if self._max_gap_ms is not None:
            begins |= np.diff(times, prepend=time) > self._max_gap_ms
        begins[0] |= first
        numbers = self._number + np.cumsum(begins)
        self._last, self._number = (times[-1], marks[-1]), int(numbers[-1])
        return numbers, begins
