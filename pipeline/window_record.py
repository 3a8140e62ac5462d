"""Windows as TFRecord files of tf.train.Example, written without TensorFlow (its import alone takes seconds).

The bytes are those of Example.SerializeToString(deterministic=True); a test holds them against TensorFlow.
"""

import struct

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


def encode_windows(stream: str, starts: np.ndarray, x: np.ndarray) -> list[bytes]:
    """The frames of a TFRecord file, one for each window: length, its masked crc32c, the Example, its masked crc32c.

    Examples of one stream differ in start and x alone: one is encoded, those are laid over its copies.

    Args:
        starts: (windows,) epoch ms.
        x: (windows, values) float32.
    """
    frames = [b""] * len(starts)
    widths = np.array([len(_varint(start)) for start in starts.tolist()], np.int64)
    for width in np.unique(widths):
        own = np.flatnonzero(widths == width)
        first = encode_example(stream, int(starts[own[0]]), x[own[0]])
        examples = np.tile(np.frombuffer(first, np.uint8), (len(own), 1))
        end = first.index(_start_entry(int(starts[own[0]]))) + len(_start_entry(int(starts[own[0]])))
        sevens = starts[own, None].astype(np.uint64) >> (7 * np.arange(width)).astype(np.uint64) & np.uint64(0x7F)
        sevens[:, :-1] |= np.uint64(0x80)
        examples[:, end - width : end] = sevens
        examples[:, examples.shape[1] - 4 * x.shape[1] :] = np.ascontiguousarray(x[own], "<f4").view(np.uint8)
        length = struct.pack("<Q", len(first))
        head = length + _masked_crc(length)
        for place, example in zip(own.tolist(), map(bytes, examples), strict=True):
            frames[place] = head + example + _masked_crc(example)
    return frames


def _start_entry(start: int) -> bytes:
    feature = _field(INT64_LIST, _field(1, _varint(start)))
    return _field(1, _field(1, b"start") + _field(2, feature))


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
