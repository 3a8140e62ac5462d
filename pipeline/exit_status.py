"""The exit status of a command, and the one line it leaves where it fails."""

import sys
from collections.abc import Callable

from pipeline.user_error import UserError


def exit_status(command: Callable[[], int | None]) -> int:
    """Runs `command`: 0 or what it returns, 2 with one line on stderr for a UserError, 130 when interrupted."""
    try:
        return command() or 0
    except UserError as error:
        print(f"edgernn: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("edgernn: interrupted", file=sys.stderr)
        return 130
