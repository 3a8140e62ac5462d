"""What the child processes of test_child_process do; importable by name, as the child wants it."""

import os
import signal
import sys

from pipeline.user_error import UserError


def add(a, b):
    print("printing must not mix with the answer")
    os.write(2, b"nor must this\n")
    return a + b


def imported_modules():
    return sorted(sys.modules)


def segfault():
    os.write(2, b"last words\n")
    os.kill(os.getpid(), signal.SIGSEGV)


def loop_forever(fifo):
    """Tells its process id through the pipe, then never ends."""
    with open(fifo, "w") as pipe:
        pipe.write(str(os.getpid()))
    while True:
        pass


def eat_memory(megabytes):
    return len(bytearray(megabytes << 20))


def leave(status):
    os._exit(status)


def raise_value_error():
    raise ValueError("two\nlines")


def raise_user_error():
    raise UserError("count.csv: expected a number")


def return_unpicklable():
    return lambda: None


def interrupt(fifo):
    """The parent's body in the Ctrl-C test."""
    from tflite.child_process import run_in_child

    run_in_child(loop_forever, fifo, seconds=60)
