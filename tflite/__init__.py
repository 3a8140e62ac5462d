"""Stateful TensorFlow Lite models of recurrent Keras models: conversion, runtimes, proof.

`convert` needs TensorFlow, which takes seconds to import; `load` does not. Both are loaded on first use.
"""

__all__ = ["convert", "load"]


def __getattr__(name):
    if name == "convert":
        from tflite.conversion import convert

        return convert
    if name == "load":
        from tflite.artifact import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
