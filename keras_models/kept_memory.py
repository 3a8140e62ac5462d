"""Memory that training keeps instead of giving it back to the kernel after every batch."""

import os
import sys

TUNABLES = "GLIBC_TUNABLES"
# Nothing by mmap, nothing given back, the heap in huge pages.
MALLOC = {"mmap_max": 0, "trim_threshold": 2**40, "top_pad": 2**28, "hugetlb": 1}


def keep_memory() -> None:
    """Begins this process anew, the same command line, with a C library that keeps what is freed.

    Training asks for the same megabytes at every batch: given back and taken anew, page by page and each filled with
    zeros, they are a quarter of a translator's time. glibc (2.35 or newer for huge pages) reads its tunables before a
    process begins; another C library does not know them. What the user has set stays.
    """
    if TUNABLES not in os.environ:
        os.environ[TUNABLES] = ":".join(f"glibc.malloc.{name}={value}" for name, value in MALLOC.items())
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
