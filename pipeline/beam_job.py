"""A Beam job run to its end on the runner asked for."""

from collections.abc import Callable, Sequence

from pipeline.quiet_beam import beam
from pipeline.user_error import UserError


def run_job(wire: Callable[[beam.Pipeline], None], runner: str, options: Sequence[str]) -> None:
    """Wires a pipeline and runs it.

    Args:
        runner: a Beam runner's name, or the dotted path of its class.
        options: Beam's own command-line options.

    Raises:
        UserError: there is no such runner.
    """
    try:
        chosen = beam.runners.create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UserError(f'runner "{runner}": {error}') from error
    pipeline = beam.Pipeline(runner=chosen, options=beam.options.pipeline_options.PipelineOptions(list(options)))
    wire(pipeline)
    try:
        pipeline.run().wait_until_finish()
    except Exception as error:
        if _was_interrupted(error):
            raise KeyboardInterrupt from None
        raise


def _was_interrupted(error: BaseException | None) -> bool:
    """Beam wraps a Ctrl-C that meets it inside a DoFn into a RuntimeError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
