"""The rival: the same steps for this one kind of rows in polars, lazily, with all its threads."""

from pathlib import Path

import polars as pl

from pipeline.bench.fleet_rows import CHANNELS, HIGHEST, LENGTH, LOWEST, MAX_GAP_SECONDS, STRIDE, borders_ms

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def run(folder: Path, out: Path, rows: int) -> dict:
    """Writes streams, windows and rejected rows below `out` as Parquet; returns statistics of the training rows."""
    if any((folder / "rows").glob("*.csv")):
        floats = dict.fromkeys(CHANNELS, pl.Float32)
        scan = pl.scan_csv(folder / "rows" / "*.csv", try_parse_dates=True, schema_overrides=floats)
    else:
        scan = pl.scan_parquet(folder / "rows" / "*.parquet")
    good = pl.all_horizontal(pl.col(name).is_between(LOWEST, HIGHEST) for name in CHANNELS)
    table = scan.with_columns(good.alias("good")).collect()
    table.filter(~pl.col("good")).drop("good").write_parquet(out / "rejected.parquet")
    gap = pl.duration(seconds=MAX_GAP_SECONDS)
    binned = (
        table.lazy()
        .filter(pl.col("good"))
        .drop("good")
        .sort("vehicle", "time")
        .unique(["vehicle", "time"], keep="first", maintain_order=True)
        .with_columns(begins=(pl.col("time").diff() > gap) | (pl.col("vehicle") != pl.col("vehicle").shift()))
        .with_columns(segment=pl.col("begins").cum_sum())
        .with_columns(pl.col("segment").fill_null(0), second=pl.col("time").dt.truncate("1s"))
        .group_by("vehicle", "segment", "second", maintain_order=True)
        .agg(*(pl.col(name).mean() for name in CHANNELS), rows=pl.len())
        .collect()
    )
    del table
    validation, test = (pl.lit(border).cast(pl.Datetime("ms")) for border in borders_ms(rows))
    grid = (
        binned.group_by("vehicle", "segment", maintain_order=True)
        .agg(second=pl.datetime_range(pl.col("second").first(), pl.col("second").last(), "1s"))
        .explode("second")
        .join(binned, on=["vehicle", "segment", "second"], how="left", maintain_order="left")
        .with_columns(part=(pl.col("second") >= validation).cast(pl.Int8) + (pl.col("second") >= test).cast(pl.Int8))
    )
    del binned
    grid.write_parquet(out / "streams.parquet", compression="zstd")
    for code, name in enumerate(("train", "validation")):
        windows = (
            grid.lazy()
            .filter(pl.col("part") == code)
            .with_columns(window=pl.int_range(pl.len()).over("vehicle", "segment") // STRIDE)
            .group_by("vehicle", "segment", "window", maintain_order=True)
            .agg(pl.col("second").first(), *CHANNELS)
            .filter(pl.col(CHANNELS[0]).list.len() == LENGTH + 1)
            .collect()
        )
        windows.write_parquet(out / f"{name}.parquet", compression="uncompressed")
    train = grid.lazy().filter(pl.col("part") == 0)
    return train.select(
        *(getattr(pl.col(name), how)().alias(f"{name} {how}") for name in CHANNELS for how in HOW),
        *(pl.col(name).quantile(q).alias(f"{name} {q}") for name in CHANNELS for q in QUANTILES),
    ).collect().to_dicts()[0]


HOW = ("mean", "std", "min", "max", "null_count")
