"""Beam's RunInference, imported without its warnings about Google Cloud clients that nobody here asked for."""

import logging
import resource

from pipeline.quiet_beam import beam

logging.disable(logging.WARNING)
from apache_beam.ml.inference import base  # noqa: E402
from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RunInference  # noqa: E402

logging.disable(logging.NOTSET)
base.resource = resource  # Beam 2.77 loses it where torch is absent, and then warns whenever it loads a model

__all__ = ["ModelHandler", "PredictionResult", "RunInference", "beam"]
