"""Translators on the device: two signatures of one file, `encode` and `decode`, one sub-word per call."""
