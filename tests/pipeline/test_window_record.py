"""Our tf.train.Example bytes and record frames against TensorFlow's own."""

import numpy as np
import pytest

from pipeline.window_record import encode_example, encode_windows

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed: it is the oracle of these tests")


@pytest.mark.parametrize("start", [0, 127, 128, 1714557600000, -1, -86_400_000])
@pytest.mark.parametrize("stream, size", [("valve1/0.csv", 3), ("ünïcode", 0), ("s" * 200, 1_000)])
def test_bytes_are_those_of_tensorflow(start, stream, size):
    x = np.random.default_rng(0).normal(size=size).astype(np.float32)
    x[:1] = np.nan
    features = {
        "stream": tf.train.Feature(bytes_list=tf.train.BytesList(value=[stream.encode()])),
        "start": tf.train.Feature(int64_list=tf.train.Int64List(value=[start])),
        "x": tf.train.Feature(float_list=tf.train.FloatList(value=x)),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    ours = encode_example(stream, start, x)
    assert tf.train.Example.FromString(ours).SerializeToString(deterministic=True) == (
        example.SerializeToString(deterministic=True)
    )
    if size:
        assert ours == example.SerializeToString(deterministic=True)


@pytest.mark.parametrize("stream", ["truck", "s" * 200])
def test_frames_are_those_of_tensorflow(tmp_path, stream):
    starts = np.array([1714557600000, 0, 127, 128, 1714557601000, -1000, 1 << 42], np.int64)
    x = np.random.default_rng(0).normal(size=(len(starts), 100)).astype(np.float32)
    (tmp_path / "ours").write_bytes(b"".join(encode_windows(stream, starts, x)))
    records = [encode_example(stream, start, one) for start, one in zip(starts.tolist(), x, strict=True)]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as file:
        for record in records:
            file.write(record)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert list(tf.data.TFRecordDataset(str(tmp_path / "ours")).as_numpy_iterator()) == records


def test_damaged_frame_is_seen_by_tensorflow(tmp_path):
    frames = encode_windows("truck", np.array([0]), np.zeros((1, 4), np.float32))
    damaged = bytearray(frames[0])
    damaged[15] ^= 1
    (tmp_path / "records").write_bytes(damaged)
    with pytest.raises(tf.errors.DataLossError):
        list(tf.data.TFRecordDataset(str(tmp_path / "records")))
