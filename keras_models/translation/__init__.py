"""Sequence to sequence: an encoder that reads a sentence into its state, a decoder that writes from it."""
