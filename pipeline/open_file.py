"""Opens a file for reading, on the local disk or any file system Beam knows, unpacked where its name ends in .gz."""

import pyarrow as pa
import pyarrow.parquet

from pipeline.place import is_remote
from pipeline.quiet_beam import beam


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
    except Exception as error:  # each file system raises what its client does
        raise OSError(f"{path}: {error}") from error


def open_parquet(path: str) -> pa.parquet.ParquetFile:
    """Raises OSError or pa.ArrowInvalid where it cannot be read or is no Parquet."""
    return pa.parquet.ParquetFile(open_file(path, unpack=False) if is_remote(path) else path)
