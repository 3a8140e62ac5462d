"""Where a file or folder lies: a path on this machine, or an address on a file system of Beam (gs://, s3://, hdfs://)."""

import os


def is_remote(place: str | os.PathLike) -> bool:
    """Whether the place names a file system: gs://, s3://, hdfs://, ..."""
    return "://" in os.fspath(place)


def join(place: str | os.PathLike, *names: str) -> str:
    """The place of a file or folder inside another."""
    if is_remote(place):
        return "/".join([os.fspath(place).rstrip("/"), *names])
    return os.path.join(os.fspath(place), *names)
