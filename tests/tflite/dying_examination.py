"""An examination that dies in its child process; importable by name, as the child wants it."""

import os
import signal


def die(model, refusals):
    os.kill(os.getpid(), signal.SIGSEGV)
