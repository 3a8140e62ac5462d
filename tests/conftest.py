"""TensorFlow as the command line sets it up: no start-up lines, no arithmetic that depends on the machine."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
