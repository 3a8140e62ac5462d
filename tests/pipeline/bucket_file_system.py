"""Stands for gs://, s3://, hdfs://: files that only Beam can reach, from this process and from workers in others.

An address is no path: files lie side by side in the folder of the environment's BUCKET_FOLDER, under names that nobody
who takes an address for a path would find. As strict as any: nothing is renamed onto a file, nothing deleted twice.
"""

import gzip
import os
from pathlib import Path
from urllib.parse import quote, unquote

from pipeline.quiet_beam import beam

FILES = beam.io.filesystem
SCHEME = "bucket"
FOLDER = "BUCKET_FOLDER"


def stored(address: str) -> Path:
    """Where the bytes of an address really lie."""
    return Path(os.environ[FOLDER]) / quote(address, safe="")


def addresses(prefix: str) -> list[str]:
    return sorted(one for one in map(unquote, os.listdir(os.environ[FOLDER])) if one.startswith(prefix))


def tree(folder: str) -> dict[str, bytes]:
    """Relative path -> bytes of every file below an address."""
    return {one.removeprefix(f"{folder}/"): stored(one).read_bytes() for one in addresses(f"{folder}/")}


class BucketFileSystem(FILES.FileSystem):
    def __init__(self, pipeline_options):
        super().__init__(pipeline_options)
        self.options = pipeline_options

    @classmethod
    def scheme(cls):
        return SCHEME

    def join(self, base, *paths):
        return "/".join([base, *paths])

    def split(self, path):
        return tuple(path.rsplit("/", 1))

    def has_dirs(self):
        return False

    def mkdirs(self, path):
        raise AssertionError("there are no folders here")

    def _list(self, dir_or_prefix):
        return [self.metadata(one) for one in addresses(dir_or_prefix)]

    def create(self, path, mime_type="", compression_type=FILES.CompressionTypes.AUTO):
        return open(stored(path), "wb")

    def open(self, path, mime_type="", compression_type=FILES.CompressionTypes.AUTO):
        packed = compression_type == FILES.CompressionTypes.AUTO and path.endswith(".gz")
        return (gzip.open if packed else open)(stored(path), "rb")

    def copy(self, sources, destinations):
        raise AssertionError("not needed")

    def rename(self, sources, destinations):
        for source, destination in zip(sources, destinations, strict=True):
            if stored(destination).exists():
                raise FILES.BeamIOError(f"{destination} is there already")
            stored(source).rename(stored(destination))

    def exists(self, path):
        return stored(path).exists()

    def size(self, path):
        return stored(path).stat().st_size

    def last_updated(self, path):
        return stored(path).stat().st_mtime

    def checksum(self, path):
        return str(self.size(path))

    def metadata(self, path):
        return FILES.FileMetadata(path, self.size(path), self.last_updated(path))

    def delete(self, paths):
        for path in paths:
            stored(path).unlink()
