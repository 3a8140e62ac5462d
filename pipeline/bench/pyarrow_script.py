"""The rival: the same steps for this one kind of rows, all in memory, pyarrow with all its threads and numpy."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet

from pipeline.bench.fleet_rows import CHANNELS, HIGHEST, LENGTH, LOWEST, MAX_GAP_SECONDS, STRIDE, borders_ms


def run(folder: Path, out: Path, rows: int) -> dict:
    """Writes streams, windows and rejected rows below `out` as Parquet; returns statistics of the training rows."""
    table = pa.dataset.dataset(folder / "rows", format=_kind(folder)).to_table()
    good = None
    for name in CHANNELS:
        inside = pc.and_(pc.greater_equal(table[name], LOWEST), pc.less_equal(table[name], HIGHEST))
        good = inside if good is None else pc.and_(good, inside)
    pa.parquet.write_table(table.filter(pc.invert(good)), out / "rejected.parquet", compression="zstd")
    table = table.filter(good)
    table = table.take(pc.sort_indices(table, [("vehicle", "ascending"), ("time", "ascending")]))
    vehicles = table["vehicle"].combine_chunks().dictionary_encode()
    codes, times = vehicles.indices.to_numpy(), table["time"].cast(pa.timestamp("ms")).cast(pa.int64()).to_numpy()
    first = np.append(True, (np.diff(codes) != 0) | (np.diff(times) != 0))
    codes, times = codes[first], times[first]
    values = np.stack([table[name].to_numpy()[first].astype(np.float32) for name in CHANNELS], axis=1)
    del table

    begins = np.append(True, (np.diff(codes) != 0) | (np.diff(times) > MAX_GAP_SECONDS * 1000))
    bins = times // 1000
    starts = np.flatnonzero(np.append(True, np.diff(bins) != 0) | begins)
    numbers = np.diff(starts, append=len(times))
    means = np.add.reduceat(values, starts, axis=0, dtype=np.float64) / numbers[:, None]
    segment = np.cumsum(begins)[starts] - 1
    seconds = bins[starts]
    ends = np.append(np.flatnonzero(np.diff(segment)), len(segment) - 1)
    heads = np.append(0, ends[:-1] + 1)
    sizes = seconds[ends] - seconds[heads] + 1
    offsets = np.cumsum(sizes) - sizes
    places = offsets[segment] + seconds - seconds[heads][segment]
    x = np.full((sizes.sum(), len(CHANNELS)), np.nan, np.float32)
    x[places] = means
    observed = np.zeros(len(x), np.int32)
    observed[places] = numbers
    whole = np.repeat(np.arange(len(sizes)), sizes)
    grid = np.arange(len(x)) - offsets[whole] + seconds[heads][whole]
    validation, test = borders_ms(rows)
    part = (grid * 1000 >= validation).astype(np.int8) + (grid * 1000 >= test)

    owner = pa.DictionaryArray.from_arrays(codes[starts][heads][whole], vehicles.dictionary)
    streams = {
        "stream": owner,
        "time": pa.array(grid * 1000, pa.timestamp("ms")),
        "part": pa.DictionaryArray.from_arrays(part.astype(np.int32), pa.array(["train", "validation", "test"])),
        "segment": whole.astype(np.int32),
        "observed": observed > 0,
        "rows": observed,
    }
    streams |= {name: np.ascontiguousarray(x[:, index]) for index, name in enumerate(CHANNELS)}
    pa.parquet.write_table(pa.table(streams), out / "streams.parquet", compression="zstd")
    for code, name in enumerate(("train", "validation")):
        run_of = np.flatnonzero(part == code)
        breaks = np.flatnonzero((np.diff(run_of) > 1) | (np.diff(whole[run_of]) > 0))
        runs = zip(run_of[np.append(0, breaks + 1)], run_of[np.append(breaks, len(run_of) - 1)], strict=True)
        at = np.concatenate([np.arange(low, high - LENGTH + 1, STRIDE) for low, high in runs])
        windows = x[at[:, None] + np.arange(LENGTH + 1)].reshape(-1)
        width = (LENGTH + 1) * len(CHANNELS)
        columns = {
            "stream": owner.take(pa.array(at)),
            "start": grid[at] * 1000,
            "x": pa.FixedSizeListArray.from_arrays(windows, width),
        }
        pa.parquet.write_table(pa.table(columns), out / f"{name}.parquet", compression="none")
    train = x[part == 0]
    return {
        "mean": np.nanmean(train, axis=0, dtype=np.float64).tolist(),
        "std": np.nanstd(train, axis=0, dtype=np.float64).tolist(),
        "min": np.nanmin(train, axis=0).tolist(),
        "max": np.nanmax(train, axis=0).tolist(),
        "quantiles": [
            np.quantile(column[~np.isnan(column)], [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]).tolist()
            for column in train.T
        ],
        "missing": np.isnan(train).mean(axis=0).tolist(),
    }


def _kind(folder: Path) -> str:
    return "csv" if any((folder / "rows").glob("*.csv")) else "parquet"
