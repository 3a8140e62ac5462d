"""What may happen instead of a conversion; importable by name, as the child process wants it."""

import os
import signal


def segfault(*_):
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(*_):
    while True:
        pass


def fail(*_):
    raise KeyError("a defect\nof edgernn")
