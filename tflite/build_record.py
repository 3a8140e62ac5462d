"""One JSON record of a scenario's build folder, read so that a bad file costs one clear line."""

import json
from pathlib import Path

from pipeline.user_error import UserError

JSON_NAMES = {dict: "object", list: "array"}


def read_record(path, *, kind, made_by):
    """Read one JSON record a stage has written.

    Args:
        path: the file, such as `build/demand/validation.json`.
        kind: `dict` or `list`, the type expected at the top.
        made_by: the command that writes the file; the errors name it as the remedy.

    Returns:
        The parsed object, or `None` if there is no such file.

    Raises:
        UserError: the file cannot be read, is not JSON, or has another type at the top.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({_one_line(error)}); write it again with `{made_by}`") from error
    try:
        record = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: damaged, not JSON ({_one_line(error)}); write it again with `{made_by}`") from error
    if not isinstance(record, kind):
        raise UserError(
            f"{path}: damaged, expected a JSON {JSON_NAMES[kind]}, found "
            f"{type(record).__name__}; write it again with `{made_by}`"
        )
    return record


def require_record(path, *, kind, made_by):
    """Like `read_record`, but a file that does not exist is an error too.

    Raises:
        UserError: as `read_record`, and when there is no such file.
    """
    record = read_record(path, kind=kind, made_by=made_by)
    if record is None:
        raise UserError(f"{path}: not found; make it with `{made_by}`")
    return record


def _one_line(error):
    return " ".join(str(error).split())
