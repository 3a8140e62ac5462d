"""The bytes of a .tflite, refused early when they cannot be one."""

import os
import struct
from pathlib import Path

from pipeline.user_error import UserError

IDENTIFIER = b"TFL3"
_SMALLEST = 24


def read_model(model: bytes | bytearray | str | os.PathLike) -> tuple[bytes, str]:
    """The model's bytes and the name to use in messages; a path is read, bytes are taken as they are.

    Raises:
        UserError: missing, unreadable, or not a TFLite flatbuffer (see `check_header`).
    """
    if isinstance(model, (bytes, bytearray)):
        content, name = bytes(model), "model"
    else:
        name = os.fspath(model)
        try:
            content = Path(model).read_bytes()
        except OSError as error:
            raise UserError(f"{name}: cannot be read ({error.strerror or error}); expected a .tflite file") from error
    check_header(content, name)
    return content, name


def check_header(content: bytes, name: str) -> None:
    """Refuses what is certainly no TFLite model: empty, other identifier, root table out of bounds.

    A damaged body can pass; `tflite.runtimes.probe` finds out in a child process.
    """
    if not content:
        raise UserError(f"{name}: empty; expected a .tflite, convert the model again")
    if len(content) < _SMALLEST or content[4:8] != IDENTIFIER:
        raise UserError(f"{name}: not a .tflite (identifier {IDENTIFIER.decode()} missing); convert the model again")
    (root,) = struct.unpack_from("<I", content, 0)
    if root + 4 > len(content):
        raise UserError(f"{name}: damaged or cut short (root table outside the file); convert the model again")
    (to_vtable,) = struct.unpack_from("<i", content, root)
    if not 0 <= root - to_vtable <= len(content) - 4:
        raise UserError(f"{name}: damaged or cut short (vtable outside the file); convert the model again")
