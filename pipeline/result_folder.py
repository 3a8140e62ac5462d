"""The folder a Beam job leaves its results in: they are whole once its manifest is there, the last file written."""

from collections.abc import Container, Iterable

from pipeline.atomic_write import atomic_write
from pipeline.dealt_rows import DEALT
from pipeline.place import join
from pipeline.stored_files import file_names, remove_files, remove_folder

FACTS_FILE = ".facts.jsonl"


def begin_results(folder: str, manifest: str) -> None:
    """From here on there are no results until the new ones are whole.

    Raises:
        UserError: nothing can be written there.
    """
    with atomic_write(join(folder, FACTS_FILE)) as trial:  # not after hours of work
        trial.touch()
    remove_files(folder, [manifest, FACTS_FILE])
    remove_folder(join(folder, DEALT))


def remove_stale(folder: str, subfolders: Iterable[str], files: Container[str]) -> None:
    """Takes away what is not among `files`: shards of other runs in the subfolders, and leftovers of killed ones."""
    for sub in subfolders:
        names = file_names(join(folder, sub))
        remove_files(join(folder, sub), [name for name in names if f"{sub}/{name}" not in files])
    killed = [name for name in file_names(folder) if name.startswith(".") and name.endswith(".tmp")]
    remove_files(folder, [FACTS_FILE, *killed])
