"""What stands after `--` on the command line: options of the Beam runner, passed on as they are."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence


def parse_with_beam_options(parser: ArgumentParser, argv: Sequence[str]) -> Namespace:
    """The parsed arguments before the first `--`; the rest becomes `beam`, for the commands that take it."""
    argv = list(argv)
    end = argv.index("--") if "--" in argv else len(argv)
    arguments = parser.parse_args(argv[:end])
    if end < len(argv):
        if not hasattr(arguments, "beam"):
            parser.error("this command runs no Beam job: nothing may follow --")
        arguments.beam = argv[end + 1 :]
    return arguments
