"""Builds of one scenario with several seeds, and their figures side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.atomic_write import write_json

SEEDS = (7, 8, 9)


def seed_folder(name: str, build_dir: Path, seed: int) -> Path:
    """build/seeds/<seed>, a build folder of its own in which the dataset of scenario `name` is the one in build/."""
    folder = Path(build_dir) / "seeds" / str(seed)
    (folder / name).mkdir(parents=True, exist_ok=True)
    dataset = folder / name / "dataset"
    if not dataset.exists():
        dataset.symlink_to((Path(build_dir) / name / "dataset").resolve())
    return folder


def write_seeds(
    name: str,
    build_dir: Path,
    records: Sequence[Mapping[str, float]],
    pooled: Mapping[str, float] | None = None,
    caption: str | None = None,
) -> Path:
    """Prints the figures of all seeds with mean and spread (standard deviation), and writes build/seeds/<name>.json.

    Args:
        records: "seed" and figures by name, a record for each seed; a figure that does not exist is left out.
        pooled: what stands in the place of a mean, by name of the figure.
    """
    seeds = (f"seed {record['seed']}" for record in records)
    table = Table("form", *seeds, "mean", "spread", title=name, caption=caption)
    for figure in dict.fromkeys(figure for record in records for figure in record if figure != "seed"):
        values = [record[figure] for record in records if figure in record]
        mean = (pooled or {}).get(figure, np.mean(values))
        spread = f"{np.std(values, ddof=1):.4f}" if len(values) > 1 else "-"
        each = (f"{record[figure]:.4f}" if figure in record else "-" for record in records)
        table.add_row(figure, *each, f"{mean:.4f}", spread)
    Console().print(table)
    path = Path(build_dir) / "seeds" / f"{name}.json"
    write_json(path, list(records))
    return path
