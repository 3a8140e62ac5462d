"""Beam's RunInference, imported without its warnings about Google Cloud clients that nobody here asked for."""

import logging

from pipeline.quiet_beam import beam

logging.disable(logging.WARNING)
from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RunInference  # noqa: E402

logging.disable(logging.NOTSET)

__all__ = ["ModelHandler", "PredictionResult", "RunInference", "beam"]
