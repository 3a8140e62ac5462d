"""The names a device meets in a translator's file."""

ENCODE, DECODE = "encode", "decode"
TOKEN, SCORES = "token", "scores"
# `encode` gives a context with every sub-word; the last one is read by every call of `decode`.
CONTEXT = "context"
# With attention `encode` gives instead a row of the memory that `decode` reads with the number of rows that are filled.
MEMORY, FILLED = "memory", "filled"
