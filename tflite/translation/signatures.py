"""The names a device meets in a translator's file."""

ENCODE, DECODE = "encode", "decode"
TOKEN, SCORES = "token", "scores"
# With attention: `encode` gives a row of the memory that `decode` reads, with the number of rows that are filled.
MEMORY, FILLED = "memory", "filled"
