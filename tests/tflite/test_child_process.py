"""What may crash dies alone, and says by what name."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import child_functions
import pytest

from pipeline.user_error import UserError
from tflite.child_process import ChildDied, ChildError, ChildFailure, ChildTimeout, run_in_child

LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="RLIMIT_DATA is enforced on Linux only"
)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "pid"
    os.mkfifo(path)
    return str(path)


def read_pid_later(fifo) -> tuple[threading.Thread, list[int]]:
    pids = []
    reader = threading.Thread(target=lambda: pids.append(int(Path(fifo).read_text())), daemon=True)
    reader.start()
    return reader, pids


def test_returns_the_result_whatever_is_printed():
    assert run_in_child(child_functions.add, 2, b=3) == 5


def test_large_argument_and_result():
    block = bytes(8 << 20)
    assert run_in_child(child_functions.add, block, b"x") == block + b"x"


def test_child_starts_light():
    modules = set(run_in_child(child_functions.imported_modules))
    assert not modules & {"tensorflow", "keras", "apache_beam", "ai_edge_litert", "matplotlib", "onnxruntime"}


def test_segfault_is_named():
    with pytest.raises(
        ChildDied, match=r"child_functions.segfault died .*\(SIGSEGV\); convert again"
    ) as caught:
        run_in_child(child_functions.segfault, remedy="convert again")
    assert caught.value.cause == "SIGSEGV"
    assert "last words" in caught.value.log


def test_silent_exit_is_named():
    for status in (0, 3):
        with pytest.raises(ChildDied, match=f"exit status {status}"):
            run_in_child(child_functions.leave, status)


def test_time_limit(fifo):
    reader, pids = read_pid_later(fifo)
    with pytest.raises(ChildTimeout, match="stopped after 3 s"):
        run_in_child(child_functions.loop_forever, fifo, seconds=3)
    reader.join(10)
    assert pids and not is_running(pids[0]), "the child must be gone, not even a zombie"


@LINUX
def test_memory_limit():
    with pytest.raises(ChildError, match="MemoryError") as caught:
        run_in_child(child_functions.eat_memory, 2048, megabytes=512)
    assert caught.value.kind == "MemoryError"
    assert run_in_child(child_functions.eat_memory, 64, megabytes=512) == 64 << 20


def test_exception_is_named_on_one_line_with_its_trace():
    with pytest.raises(ChildError, match="raise_value_error raised ValueError: two lines;") as caught:
        run_in_child(child_functions.raise_value_error)
    assert "in raise_value_error" in caught.value.trace


def test_user_error_passes_through():
    with pytest.raises(UserError, match="^count.csv: expected a number$"):
        run_in_child(child_functions.raise_user_error)


def test_result_that_does_not_pickle():
    with pytest.raises(ChildError, match="return_unpicklable raised"):
        run_in_child(child_functions.return_unpicklable)


def test_only_module_level_functions():
    with pytest.raises(ValueError, match="expected a module-level function"):
        run_in_child(lambda: None)


def test_all_failures_are_one_kind():
    assert issubclass(ChildDied, ChildFailure)
    assert issubclass(ChildTimeout, ChildFailure)
    assert issubclass(ChildError, ChildFailure)


@pytest.mark.parametrize("whole_group", [True, False])
def test_interrupt_ends_both(fifo, whole_group):
    """Ctrl-C at a terminal reaches the whole group; `kill -INT` only the parent. No child outlives either."""
    path = os.pathsep.join(filter(None, sys.path))
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import child_functions; child_functions.interrupt({fifo!r})"],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with open(fifo) as pipe:
        child = int(pipe.read())
    if whole_group:
        os.killpg(parent.pid, signal.SIGINT)
    else:
        os.kill(parent.pid, signal.SIGINT)
    _, errors = parent.communicate(timeout=20)
    assert parent.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in errors
    assert errors.count(b"Traceback") == 1, "the child must die silently"
    assert not is_running(child)
