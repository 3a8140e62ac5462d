"""Windows as TFRecord files of tf.train.Example, written without TensorFlow (its import alone takes seconds).

The bytes are those of Example.SerializeToString(deterministic=True); a test holds them against TensorFlow.
"""

import struct
from collections.abc import Iterable
from pathlib import Path

import google_crc32c
import numpy as np

BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3  # field numbers of tf.train.Feature


def encode_example(stream: str, start: int, x: np.ndarray) -> bytes:
    """A tf.train.Example with the features start (epoch ms), stream and x (float32, flat)."""
    features = {
        "start": _field(INT64_LIST, _field(1, _varint(start))),
        "stream": _field(BYTES_LIST, _field(1, stream.encode())),
        "x": _field(FLOAT_LIST, _field(1, np.ascontiguousarray(x, "<f4").tobytes())),
    }
    entries = (_field(1, name.encode()) + _field(2, feature) for name, feature in sorted(features.items()))
    return _field(1, b"".join(_field(1, entry) for entry in entries))


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Each record framed by its length and the masked crc32c of the length and of the bytes."""
    with open(path, "wb") as file:
        for record in records:
            length = struct.pack("<Q", len(record))
            file.write(length + _masked_crc(length) + record + _masked_crc(record))


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # int64: negative numbers in two's complement
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _masked_crc(content: bytes) -> bytes:
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
