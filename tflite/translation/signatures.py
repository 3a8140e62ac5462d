"""The names a device meets in a translator's file."""

ENCODE, DECODE = "encode", "decode"
TOKEN, SCORES = "token", "scores"
