"""python -m pipeline scenario.toml: preprocess one scenario."""

import argparse
import sys
from collections.abc import Sequence

from pipeline.beam_options import parse_with_beam_options
from pipeline.exit_status import exit_status
from pipeline.scenario import load_scenario


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the preprocess stage."""
    parser.add_argument("scenario", help="scenario file (TOML)")
    parser.add_argument("--build", default="build", metavar="DIR", help="where results go (default: build)")
    parser.add_argument("--data", metavar="DIR", help="local copies of registered data sets (default: $EDGERNN_DATA)")
    parser.add_argument("--runner", default="FnApiRunner", metavar="NAME", help="Beam runner (default: FnApiRunner)")
    parser.set_defaults(beam=[])
    parser.epilog = "What follows -- is passed on to the runner: -- --flink_master=host:8081"


def run(arguments: argparse.Namespace) -> int:
    """Runs the stage with parsed arguments; 0 when the dataset is whole."""
    scenario = load_scenario(arguments.scenario)  # before Beam, whose import takes two seconds
    if scenario.task == "translate":
        from pipeline.text.preprocess_pairs import preprocess_pairs as preprocess
    else:
        from pipeline.preprocess import preprocess

    preprocess(scenario, arguments.build, arguments.data, arguments.runner, arguments.beam)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 2 wrong input (one line on stderr), 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    add_arguments(parser)
    arguments = parse_with_beam_options(parser, sys.argv[1:] if argv is None else argv)
    return exit_status(lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
