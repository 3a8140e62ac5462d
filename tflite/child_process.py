"""A function in a process of its own: what may crash, hang or eat memory does it there."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

from pipeline.user_error import UserError

_ANSWER = "from tflite.child_process import answer_parent; answer_parent()"


class ChildFailure(RuntimeError):
    """A child process gave no result. `remedy` says what to do; `log` is the end of its stderr."""

    def __init__(self, what: str, remedy: str, log: str = ""):
        super().__init__(f"{what}; {remedy}")
        self.remedy = remedy
        self.log = log


class ChildDied(ChildFailure):
    """The child ended without answering; `cause` is a signal name ("SIGSEGV") or "exit status N"."""

    def __init__(self, function: str, cause: str, remedy: str, log: str):
        super().__init__(f"{function} died in its process ({cause})", remedy, log)
        self.cause = cause


class ChildTimeout(ChildFailure):
    """The child was stopped at its time limit."""


class ChildError(ChildFailure):
    """The function raised; `kind` is the exception's class name, `trace` its traceback in the child."""

    def __init__(self, function: str, kind: str, message: str, trace: str, remedy: str, log: str):
        super().__init__(f"{function} raised {kind}: {message}", remedy, log)
        self.kind = kind
        self.trace = trace


def run_in_child(
    function: Callable[..., Any],
    *args: Any,
    seconds: float | None = 300.0,
    megabytes: int | None = None,
    remedy: str = "run it again, and report it with the command if it repeats",
    **kwargs: Any,
) -> Any:
    """Calls `function(*args, **kwargs)` in a fresh Python and returns its result.

    The child is started anew, never forked: a fork of a process with TensorFlow's threads deadlocks.
    It imports the function's module and nothing else. An interrupt reaches both processes; the child
    is gone before this returns or raises, whatever happens.

    Args:
        function: module-level function (not of `__main__`); arguments and result must pickle.
        seconds: time limit, start-up included; None: none.
        megabytes: limit of the child's private writable memory (RLIMIT_DATA). Not the address space
            (RLIMIT_AS): TensorFlow reserves gigabytes of it that it never touches. Linux only; ignored
            elsewhere.
        remedy: what the reader of an error message should do.

    Raises:
        UserError: the function raised it; passed on as it is.
        ChildDied, ChildTimeout, ChildError: all of them `ChildFailure`.
    """
    name = f"{function.__module__}.{function.__qualname__}"
    if function.__module__ == "__main__" or "<" in name:
        raise ValueError(f"{name}: expected a module-level function of an importable module")
    request = pickle.dumps((function.__module__, function.__qualname__, args, kwargs, megabytes))
    with tempfile.TemporaryFile() as log_file:
        status, answer = _exchange(request, seconds, log_file, name, remedy)
        log = _end_of(log_file)
    return _result(answer, status, name, remedy, log)


def answer_parent() -> None:
    """The child's side: reads a request from stdin, answers on what was stdout."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the function prints must not mix with the answer
    module, qualname, args, kwargs, megabytes = pickle.load(sys.stdin.buffer)
    try:
        _limit_memory(megabytes)
        function = import_module(module)
        for part in qualname.split("."):
            function = getattr(function, part)
        answer = pickle.dumps(("result", function(*args, **kwargs)))
    except UserError as error:
        answer = pickle.dumps(("user error", str(error)))
    except Exception as error:  # noqa: BLE001 - the parent raises it again, by its name
        answer = pickle.dumps(("error", _class_name(error), _one_line(error), traceback.format_exc()))
    with channel:
        channel.write(answer)


def _exchange(request: bytes, seconds: float | None, log_file: Any, name: str, remedy: str) -> tuple[int, bytes]:
    """Sends the request, waits for the answer. Returns (exit status, answer)."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path or os.getcwd() for path in sys.path))
    child = subprocess.Popen(
        [sys.executable, "-c", _ANSWER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log_file,
        env=environment,
    )
    try:
        answer, _ = child.communicate(request, timeout=seconds)
        return child.returncode, answer
    except subprocess.TimeoutExpired as error:
        raise ChildTimeout(f"{name} was stopped after {seconds:g} s", remedy) from error
    finally:
        _end(child)


def _end(child: subprocess.Popen) -> None:
    """Kills what still runs and collects its exit status, so that no zombie stays."""
    if child.poll() is None:
        child.kill()
        child.wait()
    for pipe in (child.stdin, child.stdout):
        with contextlib.suppress(OSError):
            pipe.close()


def _result(answer: bytes, status: int, name: str, remedy: str, log: str) -> Any:
    if status != 0 or not answer:
        cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        raise ChildDied(name, cause, remedy, log)
    kind, *content = pickle.loads(answer)
    if kind == "user error":
        raise UserError(content[0])
    if kind == "error":
        raise ChildError(name, *content, remedy, log)
    return content[0]


def _limit_memory(megabytes: int | None) -> None:
    if megabytes is None or not sys.platform.startswith("linux"):
        return
    import resource  # absent on Windows

    limit = megabytes << 20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _class_name(error: Exception) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no message"


def _end_of(log_file: Any, size: int = 4000) -> str:
    log_file.seek(0, os.SEEK_END)
    log_file.seek(max(0, log_file.tell() - size))
    return log_file.read().decode(errors="replace")
