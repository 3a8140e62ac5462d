"""Files are whole or absent."""

import pytest

from pipeline import UserError
from pipeline.atomic_write import atomic_write, write_json


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_interrupted_write_keeps_the_old_file(tmp_path, stop):
    path = tmp_path / "model.bin"
    path.write_text("old")
    with pytest.raises(stop), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise stop
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("model.bin", "old")]


def test_write_creates_its_folder_and_replaces(tmp_path):
    path = tmp_path / "deep" / "model.bin"
    for content in ("one", "two"):
        with atomic_write(path) as temporary:
            assert temporary.parent == path.parent
            temporary.write_text(content)
        assert path.read_text() == content
    assert len(list(path.parent.iterdir())) == 1


def test_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="model.bin: cannot be written"),
        atomic_write(tmp_path / "file" / "model.bin"),
    ):
        raise AssertionError("there is nothing to write to")


def test_errors_of_other_files_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "copy") as temporary:
        temporary.write_bytes((tmp_path / "not there").read_bytes())


def test_json_is_the_same_for_the_same_content(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1.5, "a": [1]})
    assert (tmp_path / "a.json").read_text() == '{\n "a": [\n  1\n ],\n "b": 1.5\n}\n'
    with pytest.raises(ValueError):
        write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()
