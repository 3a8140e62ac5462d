"""A Beam job run to its end on the runner asked for."""

import re
from collections.abc import Callable, Sequence

from pipeline.quiet_beam import beam
from pipeline.user_error import UserError

# Of an exception in a worker elsewhere an engine hands back the text alone; Beam adds in brackets where it was.
WORKERS_LINE = re.compile(r"\bUserError: (.+?)(?= \[while running|$)", re.MULTILINE)


def run_job(wire: Callable[[beam.Pipeline], None], runner: str, options: Sequence[str]) -> None:
    """Wires a pipeline and runs it.

    Args:
        runner: a Beam runner's name, or the dotted path of its class.
        options: Beam's own command-line options.

    Raises:
        UserError: there is no such runner, or a worker cannot go on and says why.
    """
    try:
        chosen = beam.runners.create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UserError(f'runner "{runner}": {error}') from error
    pipeline = beam.Pipeline(runner=chosen, options=_parsed(options))
    wire(pipeline)
    try:
        pipeline.run().wait_until_finish()
    except Exception as error:
        if _was_interrupted(error):
            raise KeyboardInterrupt from None
        if told := WORKERS_LINE.search(str(error)):
            raise UserError(told[1]) from error
        raise


def use_file_systems(options: Sequence[str]) -> None:
    """Lets Beam's file systems be used before a pipeline is there: HDFS is reached by options alone (--hdfs_host)."""
    beam.io.filesystems.FileSystems.set_options(_parsed(options))


def _parsed(options: Sequence[str]) -> beam.options.pipeline_options.PipelineOptions:
    return beam.options.pipeline_options.PipelineOptions(list(options))


def _was_interrupted(error: BaseException | None) -> bool:
    """Beam wraps a Ctrl-C that meets it inside a DoFn into a RuntimeError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
