"""Opens a file for reading, on the local disk or any file system Beam knows, unpacked where its name ends in .gz."""

import pyarrow as pa

from pipeline.quiet_beam import beam


def is_remote(path: str) -> bool:
    """Whether the path names a file system: gs://, s3://, hdfs://, ..."""
    return "://" in path


def open_file(path: str, *, unpack: bool = True) -> pa.NativeFile:
    """Raises OSError where the file cannot be read, also later, while it is read."""
    if not is_remote(path):
        return pa.input_stream(path, compression="gzip" if unpack and path.endswith(".gz") else None)
    kinds = beam.io.filesystem.CompressionTypes
    try:
        return pa.PythonFile(
            beam.io.filesystems.FileSystems.open(path, compression_type=kinds.AUTO if unpack else kinds.UNCOMPRESSED),
            mode="r",
        )
    except beam.io.filesystem.BeamIOError as error:
        raise OSError(f"{path}: {error}") from error
