"""The files of a scenario, sorted by name: from a local copy, the cache, fetched, or the user's own."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from pipeline.data_sets import DATA_SETS, DataSet, Simulation
from pipeline.fetch_data import check_sha256, fetch
from pipeline.place import is_remote
from pipeline.quiet_beam import beam
from pipeline.scenario import Scenario
from pipeline.user_error import UserError

ENDINGS = (".csv", ".csv.gz", ".parquet", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


@dataclass(frozen=True, order=True)
class DataFile:
    """`name` is relative to the folder all files share; it is the stream name with data.stream = "file".

    `state` is what changes when somebody writes to the file.
    """

    name: str
    path: str
    state: tuple[int, int]

    @property
    def size(self) -> int:
        """In bytes."""
        return self.state[0]


def file_state(path: str) -> tuple[int, int]:
    """(bytes, time of the last change in ns; 0 where the file system does not say).

    Raises:
        OSError: there is no such file, or it cannot be asked for.
    """
    if is_remote(path):
        found = beam.io.filesystems.FileSystems.get_filesystem(path).metadata(path)
        return found.size_in_bytes, round((found.last_updated_in_seconds or 0) * 1e9)
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def find_files(scenario: Scenario, cache_dir: str, data_dir: str | Path | None = None) -> list[DataFile]:
    """The files of the scenario, sorted by name; those of registered sets are checked.

    Args:
        cache_dir: registered sets are fetched to `<cache_dir>/<set>/`.
        data_dir: a folder with local copies as `<set>/...`; default: the environment variable EDGERNN_DATA.

    Raises:
        UserError: nothing there, damaged, not reachable.
    """
    if scenario.data.set is None:
        return _own_files(scenario)
    data_set = DATA_SETS[scenario.data.set]
    if isinstance(data_set.source, Simulation):
        return _simulated_files(scenario, _cache(scenario, cache_dir, scenario.name))
    if data_dir and not Path(data_dir).is_dir():
        raise UserError(f"--data: {data_dir} is not a folder; name the folder that holds {data_set.local_folder}/")
    folder = _local_copy(data_set, data_dir or os.environ.get("EDGERNN_DATA"))
    if folder is None:
        folder = _cache(scenario, cache_dir, data_set.local_folder)
        fetch(data_set, folder)
    for name, digest in data_set.files.items():
        check_sha256(folder / name, digest)
    shared = os.path.commonpath([os.path.dirname(name) for name in data_set.files])
    return sorted(
        _found(os.path.relpath(name, shared or "."), folder / name) for name in data_set.files
    )


def _cache(scenario: Scenario, cache_dir: str, name: str) -> Path:
    """Where files are brought to: on this machine, where workers elsewhere would not find them."""
    if is_remote(cache_dir):
        raise UserError(
            f'{scenario.path}: data.set = "{scenario.data.set}" is brought to this machine, which the workers of'
            f" {cache_dir} do not see; put its files on that file system and name them by data.path"
        )
    return Path(cache_dir, name)


def _found(name: str, path: str | Path) -> DataFile:
    return DataFile(name, str(path), file_state(str(path)))


def _local_copy(data_set: DataSet, data_dir: str | Path | None) -> Path | None:
    """The set's folder below `data_dir`; None when it is not there at all."""
    folder = Path(data_dir or "") / data_set.local_folder
    if not data_dir or not folder.is_dir():
        return None
    for name in data_set.files:
        if not (folder / name).exists():
            raise UserError(
                f"{folder / name}: missing; the local copy of {data_set.name} is not whole, complete it"
                " or take the folder away to have the set fetched"
            )
    return folder


def _simulated_files(scenario: Scenario, folder: Path) -> list[DataFile]:
    """Simulated anew: that is faster than the rest of the pipeline reads them, and never stale."""
    from pipeline.fleet.write_fleet import write_fleet

    return [_found(path.name, path) for path in write_fleet(scenario.fleet, folder)]


def _own_files(scenario: Scenario) -> list[DataFile]:
    if is_remote(scenario.data.path):
        return _remote_files(scenario)
    given = Path(scenario.data.path)
    place = given if given.is_absolute() else scenario.path.parent / given
    root, paths = _matching(place)
    if not paths:
        raise _no_files(scenario, place)
    try:
        return sorted(_found(path.relative_to(root).as_posix(), path) for path in paths)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror or error})") from error


def _remote_files(scenario: Scenario) -> list[DataFile]:
    """A folder (with / at its end) or glob on a file system of Beam; names are relative to what stands before the *."""
    pattern = scenario.data.path + "**" * scenario.data.path.endswith("/")
    try:
        found = beam.io.filesystems.FileSystems.match([pattern])[0].metadata_list
        found = [one for one in found if "*" not in pattern or one.path.endswith(ENDINGS)]
        if not found:
            raise _no_files(scenario, scenario.data.path)
        root = os.path.commonpath([os.path.dirname(one.path) for one in found])
        return sorted(_found(os.path.relpath(one.path, root), one.path) for one in found)
    except (ValueError, OSError, beam.io.filesystem.BeamIOError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{scenario.path}: data.path: {scenario.data.path} cannot be read ({error})") from error


def _no_files(scenario: Scenario, place: str | Path) -> UserError:
    return UserError(
        f"{scenario.path}: data.path: no files at {place}; expected a file, a glob, or a folder with"
        f" files that end in {', '.join(ENDINGS)}"
    )


def _matching(place: Path) -> tuple[Path, Iterable[Path]]:
    """The folder that names are relative to, and the files."""
    if place.is_dir():
        found = [path for path in place.rglob("*") if path.is_file() and path.name.endswith(ENDINGS)]
        return place, [path for path in found if not path.name.startswith(".")]
    if place.is_file():
        return place.parent, [place]
    found = [Path(path) for path in glob(str(place), recursive=True) if Path(path).is_file()]
    return Path(os.path.commonpath([path.parent for path in found])) if found else place, found
