"""Ours: the stage as the command line runs it."""

import io
from pathlib import Path

from rich.console import Console

from pipeline.preprocess import preprocess
from pipeline.scenario import load_scenario


def run(folder: Path, out: Path, rows: int) -> None:
    preprocess(load_scenario(folder / "fleet.toml"), out, console=Console(file=io.StringIO()))
